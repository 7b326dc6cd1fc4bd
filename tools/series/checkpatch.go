// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/program"
)

// CheckpatchResult is what the kernel's scripts/checkpatch.pl says of a patch.
type CheckpatchResult struct {
	Patch    string              `json:"patch"`
	Errors   int                 `json:"errors"`
	Warnings int                 `json:"warnings"`
	Checks   int                 `json:"checks"`
	Lines    int                 `json:"lines"` // lines that were checked
	Findings []CheckpatchFinding `json:"findings"`
	// Explained are findings that stay, with the reason that the mail gives.
	Explained []CheckpatchFinding `json:"explained,omitempty"`
}

// Clean reports whether there is nothing to mend.
func (r *CheckpatchResult) Clean() bool { return len(r.Findings) == 0 }

// CheckpatchFinding is one finding of checkpatch.
type CheckpatchFinding struct {
	Level   string `json:"level"` // ERROR, WARNING or CHECK
	Type    string `json:"type"`  // such as LONG_LINE, for --ignore
	Message string `json:"message"`
	// PatchLine is the 1-based line in the mail; 0 if it is about all of it.
	PatchLine int `json:"patch_line,omitempty"`
	// File and Line are the place in the tree, after the patch; "" and 0 if
	// it is about the mail.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Excerpt are the lines of the patch that are meant.
	Excerpt string `json:"excerpt,omitempty"`
	// Reason is why it stays; "" if it does not.
	Reason string `json:"reason,omitempty"`
}

// String returns the finding in one line.
func (f CheckpatchFinding) String() string {
	where := ""
	switch {
	case f.File != "":
		where = fmt.Sprintf("%s:%d: ", f.File, f.Line)
	case f.PatchLine > 0:
		where = fmt.Sprintf("line %d of the mail: ", f.PatchLine)
	}
	return fmt.Sprintf("%s%s:%s: %s", where, f.Level, f.Type, f.Message)
}

const checkpatchScript = "scripts/checkpatch.pl"

// Checkpatch runs the checkpatch.pl of the kernel tree in treeDir, with
// --strict, on one patch; a cover letter is not a patch. Findings are not errors. A
// mail can give a reason for a finding that stays, see [CheckpatchResult].
// Commits that the mail names are not looked up: there is no history.
// Perl is needed; without it the error has the exit code for a machine that
// lacks something.
func Checkpatch(ctx context.Context, treeDir string, p *Patch) (*CheckpatchResult, error) {
	// Without the kernel's history every commit is unknown to checkpatch.
	out, status, err := script(ctx, treeDir, checkpatchScript, p.Mail,
		"--strict", "--show-types", "--no-color", "--root="+treeDir, "--ignore=UNKNOWN_COMMIT_ID", "-")
	if err != nil {
		return nil, fmt.Errorf("check the style of %s: %w", p.Name, err)
	}
	r, err := parseCheckpatch(string(out))
	if err == nil && (status == 0) != (r.Errors+r.Warnings+r.Checks == 0) {
		err = fmt.Errorf("exit status %d does not go with %d findings", status, len(r.Findings))
	}
	if err != nil {
		return nil, fmt.Errorf("check the style of %s: read the output of %s: %w", p.Name, checkpatchScript, err)
	}
	r.Patch = p.Name
	r.explain(string(p.Mail))
	return r, nil
}

var (
	checkpatchHead  = regexp.MustCompile(`^(ERROR|WARNING|CHECK):([A-Z][A-Z0-9_]*): (.*)$`)
	checkpatchPlace = regexp.MustCompile(`^#(\d{1,9}): ?(?:FILE: (.+):(\d{1,9}):)?$`)
	checkpatchTotal = regexp.MustCompile(`^total: (\d{1,9}) errors, (\d{1,9}) warnings, (?:(\d{1,9}) checks, )?(\d{1,9}) lines checked$`)
)

// parseCheckpatch reads the output of checkpatch.pl --show-types. Output
// without the closing line, or whose findings are not as many as it says, is
// an error: a check that broke off has not passed.
func parseCheckpatch(out string) (*CheckpatchResult, error) {
	r := &CheckpatchResult{Findings: []CheckpatchFinding{}}
	var current *CheckpatchFinding
	var excerpt strings.Builder
	total := false
	counts := make(map[string]int)
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		// Between findings there is a blank line: what looks like the start of
		// one, but is inside another, is quoted from the mail.
		if m := checkpatchTotal.FindStringSubmatch(line); m != nil && current == nil {
			if total {
				return nil, fmt.Errorf("two closing lines, the second is %q", line)
			}
			total = true
			for i, n := range []*int{&r.Errors, &r.Warnings, &r.Checks, &r.Lines} {
				*n, _ = strconv.Atoi(m[i+1])
			}
			continue
		}
		if m := checkpatchHead.FindStringSubmatch(line); m != nil && current == nil && !total {
			r.Findings = append(r.Findings, CheckpatchFinding{Level: m[1], Type: m[2], Message: m[3]})
			current = &r.Findings[len(r.Findings)-1]
			counts[m[1]]++
			continue
		}
		switch m := checkpatchPlace.FindStringSubmatch(line); {
		case current == nil:
		case line == "":
			current.Excerpt = strings.TrimSuffix(excerpt.String(), "\n")
			current = nil
			excerpt.Reset()
		case m != nil && current.PatchLine == 0:
			current.PatchLine, _ = strconv.Atoi(m[1])
			current.File = m[2]
			current.Line, _ = strconv.Atoi(m[3])
		default:
			excerpt.WriteString(line + "\n")
		}
	}
	if !total {
		return nil, fmt.Errorf("it has no closing line (\"total: ...\")")
	}
	if counts["ERROR"] != r.Errors || counts["WARNING"] != r.Warnings || counts["CHECK"] != r.Checks {
		return nil, fmt.Errorf("it says %d errors, %d warnings and %d checks; %d, %d and %d were found",
			r.Errors, r.Warnings, r.Checks, counts["ERROR"], counts["WARNING"], counts["CHECK"])
	}
	return r, nil
}

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

// script runs one of the kernel's own Perl scripts in the tree in treeDir. It
// returns its output and exit status; err is for a script that could not be
// run to its end. The user's own configuration of the script is left out.
func script(ctx context.Context, treeDir, name string, stdin []byte, args ...string) (stdout []byte, status int, err error) {
	path := filepath.Join(treeDir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		return nil, 0, fmt.Errorf("run %s: %s is not a kernel tree: %w", name, treeDir, err)
	}
	// Without a home there is no .checkpatch.conf; without git above the tree
	// no commit is looked up in a repository that is not the kernel's.
	perl := program.Program{Name: "perl", Dir: treeDir, Stdin: bytes.NewReader(stdin),
		Env: []string{"HOME=/nonexistent", "GIT_CEILING_DIRECTORIES=" + filepath.Dir(treeDir)}}
	stdout, _, err = perl.Run(ctx, append([]string{path}, args...)...)
	if _, ok := errors.AsType[*program.MissingError](err); ok {
		return nil, 0, exit.With(exit.MachineLacks, fmt.Errorf("run %s: perl is not installed; install the package perl", name))
	}
	if ended, ok := errors.AsType[*program.StatusError](err); ok {
		// Perl's own faults; 1 is a verdict.
		if ended.Status == 1 && len(stdout) > 0 {
			return stdout, 1, nil
		}
		return nil, ended.Status, fmt.Errorf("run %s: exit status %d: %s", name, ended.Status, ended.Said)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("run %s: %w", name, err)
	}
	return stdout, 0, nil
}
