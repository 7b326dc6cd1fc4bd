// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"regexp"
	"strings"
)

// explanationLine is how a mail explains a finding that stays, between "---"
// and the diffstat, where git am does not take it over:
//
//	checkpatch: MACRO_ARG_REUSE: an iterator assigns and follows its variable
var explanationLine = regexp.MustCompile(`^checkpatch: ([A-Z][A-Z0-9_]*): (\S.*)$`)

// explanations returns the reasons that a mail gives for findings that stay,
// by the type of the finding.
func explanations(mail string) map[string]string {
	reasons := make(map[string]string)
	_, below, found := strings.Cut(mail, "\n---\n")
	if !found {
		return reasons
	}
	for line := range strings.Lines(below) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "diff --git ") {
			break
		}
		if m := explanationLine.FindStringSubmatch(line); m != nil {
			reasons[m[1]] = m[2]
		}
	}
	return reasons
}

// explain moves the findings for which the mail has a reason to Explained. A
// reason without a finding is a finding itself: it would hide the next one.
func (r *CheckpatchResult) explain(mail string) {
	reasons := explanations(mail)
	open := r.Findings[:0]
	used := make(map[string]bool)
	for _, f := range r.Findings {
		if reason, ok := reasons[f.Type]; ok {
			used[f.Type] = true
			f.Reason = reason
			r.Explained = append(r.Explained, f)
			continue
		}
		open = append(open, f)
	}
	r.Findings = open
	for line := range strings.Lines(mail) {
		m := explanationLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m != nil && reasons[m[1]] == m[2] && !used[m[1]] {
			used[m[1]] = true
			r.Findings = append(r.Findings, CheckpatchFinding{Level: "CHECK", Type: m[1],
				Message: "the mail explains a finding that checkpatch does not have"})
		}
	}
}
