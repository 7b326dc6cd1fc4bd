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

// CheckpatchFinding is one finding of checkpatch.
type CheckpatchFinding struct {
	Level   string `json:"level"` // ERROR, WARNING or CHECK
	Type    string `json:"type"`  // such as LONG_LINE, for --ignore
	Message string `json:"message"`
	// PatchLine is the 1-based line in the mail; 0 if it is about all of it.
	PatchLine int `json:"patch_line,omitempty"`
	// File and Line are the place in the patched tree; "" and 0 if it is about the mail.
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

// Checkpatch runs the checkpatch.pl --strict of the kernel tree in treeDir on a patch.
// Findings are not errors; the mail can explain those that stay. Without perl the error has
// the exit code for a machine that lacks something.
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
	// checkpatchFinding is a finding: what, where, and the lines that are meant.
	checkpatchFinding = regexp.MustCompile(`(?s)^(ERROR|WARNING|CHECK):([A-Z][A-Z0-9_]*): ([^\n]*)(?:\n#(\d{1,9}): ?(?:FILE: ([^\n]+):(\d{1,9}):)?)?(?:\n(.*))?$`)
	checkpatchTotal   = regexp.MustCompile(`(?m)^total: (\d{1,9}) errors, (\d{1,9}) warnings, (?:(\d{1,9}) checks, )?(\d{1,9}) lines checked$`)
)

// parseCheckpatch reads the output of checkpatch.pl --show-types. Output that does not end as
// it should is an error: a check that broke off has not passed.
func parseCheckpatch(out string) (*CheckpatchResult, error) {
	r := &CheckpatchResult{Findings: []CheckpatchFinding{}}
	totals := 0
	counts := make(map[string]int)
	// There is a blank line after each finding: what looks like the start of one,
	// but is inside another, is quoted from the mail.
	for block := range strings.SplitSeq(strings.ReplaceAll(out, "\r\n", "\n"), "\n\n") {
		block = strings.Trim(block, "\n")
		if m := checkpatchFinding.FindStringSubmatch(block); m != nil && totals == 0 {
			f := CheckpatchFinding{Level: m[1], Type: m[2], Message: m[3], File: m[5], Excerpt: m[7]}
			f.PatchLine, _ = strconv.Atoi(m[4])
			f.Line, _ = strconv.Atoi(m[6])
			r.Findings = append(r.Findings, f)
			counts[f.Level]++
			continue
		}
		for _, m := range checkpatchTotal.FindAllStringSubmatch(block, -1) {
			totals++
			for i, n := range []*int{&r.Errors, &r.Warnings, &r.Checks, &r.Lines} {
				*n, _ = strconv.Atoi(m[i+1])
			}
		}
	}
	if totals != 1 {
		return nil, fmt.Errorf("it has %d closing lines (\"total: ...\"), not one", totals)
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
var explanationLine = regexp.MustCompile(`(?m)^checkpatch: ([A-Z][A-Z0-9_]*): (\S.*?)\r?$`)

// explain moves the findings for which the mail has a reason to Explained. A
// reason without a finding is a finding itself: it would hide the next one.
func (r *CheckpatchResult) explain(mail string) {
	_, below, _ := strings.Cut(mail, "\n---\n")
	below, _, _ = strings.Cut("\n"+below, "\ndiff --git ")
	all, found := r.Findings, len(r.Findings)
	for _, m := range explanationLine.FindAllStringSubmatch(below, -1) {
		stale := true
		for i, f := range all[:found] {
			if f.Type == m[1] {
				all[i].Reason, stale = m[2], false
			}
		}
		if stale {
			all = append(all, CheckpatchFinding{Level: "CHECK", Type: m[1],
				Message: "the mail explains a finding that checkpatch does not have"})
		}
	}
	r.Findings = []CheckpatchFinding{}
	for _, f := range all {
		if f.Reason == "" {
			r.Findings = append(r.Findings, f)
		} else {
			r.Explained = append(r.Explained, f)
		}
	}
}

// script runs one of the Perl scripts of the kernel tree in treeDir, without the user's own
// configuration of it. err is for one that could not be run to its end.
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
	// Of 1 it is a verdict, others are Perl's own faults.
	if ended, ok := errors.AsType[*program.StatusError](err); ok && ended.Status == 1 && len(stdout) > 0 {
		return stdout, 1, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("run %s: %w", name, err)
	}
	return stdout, 0, nil
}
