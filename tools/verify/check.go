// SPDX-License-Identifier: GPL-2.0-only

// Package verify looks at a series as its maintainers would, and their CI:
// without compiling or booting anything, which takes seconds; a minute where
// Sphinx has to read documents that have changed.
//
// [Run] runs some of the [Checks], which checks.toml explains, on a [Submission],
// which is a series and the tree that it is for. What comes of it is a [Report]. A
// check that could not be run, because a program is missing or because the series
// does not apply, has not passed.
package verify

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"strings"

	"vcpulab/tools/pattern"
	"vcpulab/tools/tomlfile"
)

// Check is one thing that is looked at.
type Check struct {
	Name    string   `json:"name"`            // what --only takes, a word
	Explain string   `json:"explain"`         // what it looks at, and why a maintainer cares
	Needs   []string `json:"needs,omitempty"` // programs
	// Whole says that it looks at what all sets make together, or a rival with
	// what it needs, not at each.
	Whole bool `json:"whole,omitempty"`
	// Own says that it is of the project's own patches, not of any series.
	Own bool `json:"own,omitempty"`
	// Tree says that it looks at nothing but the tree that they make: it does
	// not matter which patch does what.
	Tree bool `json:"-"`
	Run  look `json:"-"`
}

// look is the function of a check. What it writes to log is kept for who wants to
// know more than the findings say. An error is for a check that could not be run to
// its end, with the exit code exit.MachineLacks where the machine is to blame.
type look = func(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error)

//go:embed checks.toml
var checksText []byte

// looks are the functions of the checks in checks.toml, by their names.
var looks = map[string]look{
	"mails": mails, "pinned": pinned, nameApplies: applies, "git-am": gitAm, "diffstat": diffstat, "cover": cover,
	"message": message, "spelling": spelling, "generated": generated, "checkpatch": checkpatch,
	"rules": rules, "pairs": pairs, "retired": retired, "figures": figures,
	"kernel-doc": kernelDoc, "htmldocs": htmlDocs, "selftests": selftests,
}

// nameApplies is the check that says that the series does not apply.
const nameApplies = "applies"

// Checks returns all checks, in the order in which they are run.
func Checks() []Check {
	var file struct{ Check []Check }
	tomlfile.Embedded("checks.toml", checksText, &file)
	for i := range file.Check {
		c := &file.Check[i]
		c.Run = looks[c.Name]
	}
	return file.Check
}

// Choose returns the checks whose names match one of names, in the order of Checks;
// all if there are none. See [pattern.Select].
func Choose(names ...string) ([]Check, error) {
	return pattern.Select(Checks(), names, func(c Check) string { return c.Name })
}

// Finding is something that a maintainer would send the series back for.
type Finding struct {
	// Patch is the name of the mail that it is about, or of the set; "" if it is
	// about the tree that all sets make.
	Patch string `json:"patch,omitempty"`
	// File and Line are the place, in the patched tree or, where Patch says
	// which, in the mail: 1-based, 0 if it is about all of it. Function is
	// the C function or macro that it is in.
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Function string `json:"function,omitempty"`
	Message  string `json:"message"` // what is wrong
	// Expected and Found are what should be there and what is, where that
	// says more, Why is what would go wrong, where the message does not say it.
	Expected string `json:"expected,omitempty"`
	Found    string `json:"found,omitempty"`
	Why      string `json:"why,omitempty"`
	Do       string `json:"do,omitempty"`     // what to type, or to change
	Reason   string `json:"reason,omitempty"` // why it stays: it counts as explained, not as a finding
}

// Place returns where the finding is: "0003-a.patch: a.c:7: f()".
func (f Finding) Place() string {
	var parts []string
	if f.Patch != "" {
		parts = append(parts, f.Patch)
	}
	switch {
	case f.File != "" && f.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d", f.File, f.Line))
	case f.File != "":
		parts = append(parts, f.File)
	case f.Line > 0:
		parts = append(parts, fmt.Sprintf("line %d", f.Line))
	}
	if f.Function != "" {
		parts = append(parts, f.Function+"()")
	}
	if len(parts) == 0 {
		return "series"
	}
	return strings.Join(parts, ": ")
}

// String returns the finding in one line, or in several if expected and found
// belong to it.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(f.Place() + ": " + f.Message)
	for _, more := range []struct{ head, text string }{{"expected", f.Expected}, {"found", f.Found}, {"why", f.Why}, {"to do", f.Do}, {"stays", f.Reason}} {
		if more.text != "" {
			fmt.Fprintf(&b, "\n  %-9s %s", more.head+":", strings.ReplaceAll(more.text, "\n", "\n            "))
		}
	}
	return b.String()
}
