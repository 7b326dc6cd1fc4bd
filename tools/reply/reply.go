// SPDX-License-Identifier: GPL-2.0-only

// Package reply answers a series with what was tested: results that are there, of this
// version of the patches on this base, and good. Anything else is an error, which
// stands for exit.CheckFailed.
package reply

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"

	"vcpulab/tools/exit"
	"vcpulab/tools/jsonfile"
	"vcpulab/tools/progress"
	"vcpulab/tools/report"
	"vcpulab/tools/results"
	"vcpulab/tools/selftest"
	"vcpulab/tools/series"
	"vcpulab/tools/tree"
	"vcpulab/tools/variant"
)

// Reply collects what is quoted.
type Reply struct {
	// Series are the patches, Base is what they are for, and Patched what they make.
	Series        *series.Series
	Base, Patched tree.Tree
	// On says more of the base than its version, such as a commit; "" for nothing.
	On string

	parts []string
}

// refuse returns the error that a file cannot be quoted.
func refuse(file, format string, args ...any) error {
	return exit.With(exit.CheckFailed, fmt.Errorf("no reply: "+format+" (%s)", append(args, file)...))
}

// unread returns the error of a file that cannot be read; verb makes it.
func unread(file, verb string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(file, "there are no results of vcpulab %s to quote: run it with this --series, or name the file", verb)
	}
	return refuse(file, "%w", err)
}

// check tells whether results are of the trees of the reply.
func (r *Reply) check(file, base, patched string) error {
	switch {
	case base != r.Base.ID:
		return refuse(file, "the results are of another base: expected the tree %.12s, found %.12s", r.Base.ID, base)
	case patched != r.Patched.ID:
		return refuse(file, "the results are of another version of the patches: expected those that make the tree %.12s, found %.12s", r.Patched.ID, patched)
	}
	return nil
}

// Selftests quotes the comparison in a file that selftest wrote.
func (r *Reply) Selftests(file string) error {
	var c selftest.Comparison
	if err := jsonfile.Load(file, &c); err != nil {
		return unread(file, "selftest", err)
	}
	if c.Setting == nil {
		return refuse(file, "expected what vcpulab selftest wrote, with the trees that it ran on, found none")
	}
	if err := r.check(file, c.Setting.Base, c.Setting.Patched); err != nil {
		return err
	}
	if err := c.Err(); err != nil {
		return refuse(file, "%w", err)
	}
	if c.Passed == 0 {
		return refuse(file, "no test has passed: %s", c.Closing())
	}

	var b strings.Builder
	fmt.Fprintf(&b, "KVM's selftests, without and with the patches, %s guests on %s:\n\n  $ %s\n\n",
		strings.TrimSpace(c.Arch+" "+c.Params), machine(c.Setting.Host), c.Setting.Command)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  TEST\tBASE\tPATCHED")
	alike := 0
	for _, p := range c.Tests {
		base := "-"
		if p.Base != nil {
			base = string(p.Base.Outcome)
		}
		if len(c.Tests) > maxTests && p.Change == selftest.Same && p.Patched.Outcome == selftest.Pass {
			alike++
			continue
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", p.Name, base, p.Patched.Outcome)
	}
	_ = t.Flush() // a strings.Builder takes all
	if alike > 0 {
		fmt.Fprintf(&b, "  and %d that pass on both\n", alike)
	}
	fmt.Fprintf(&b, "\n  %s\n", c.Closing())
	r.parts = append(r.parts, b.String())
	return nil
}

// maxTests are all listed. Of more, those that pass on both kernels are only counted.
const maxTests = 40

// machine says what guests ran on.
func machine(h results.Host) string {
	accel, _, _ := strings.Cut(h.Accel, ":")
	return fmt.Sprintf("QEMU %s (%s), %s, %s, %s", strings.TrimPrefix(h.QEMU, "QEMU emulator version "), strings.TrimSpace(accel), h.CPU, progress.Count(h.Cores, "processor"), h.OS)
}

// Figures quotes the figures in a file that bench wrote.
func (r *Reply) Figures(file string) error {
	measured, err := results.Read(file)
	if err != nil {
		return unread(file, "bench", err)
	}
	treeOf := func(name string) string {
		i := slices.IndexFunc(measured.Kernels, func(k results.Kernel) bool { return k.Name == name })
		if i < 0 {
			return "none"
		}
		return measured.Kernels[i].Tree
	}
	if err := r.check(file, treeOf(variant.Base), treeOf(variant.Patched)); err != nil {
		return err
	}
	if measured.Interrupted {
		return refuse(file, "the measurement was interrupted")
	}
	var b bytes.Buffer
	if err := report.Mail(&b, measured); err != nil {
		return refuse(file, "%w", err)
	}
	r.parts = append(r.parts, fmt.Sprintf("Measured with vcpulab bench, %s:\n\n%s", machine(measured.Host), b.String()))
	return nil
}

// Answer returns the mail.
func (r *Reply) Answer(from series.Person) series.Answer {
	on := "Linux " + r.Base.Version
	if r.On != "" {
		on += ", " + r.On
	}
	what := "this patch"
	if n := len(r.Series.Patches); n != 1 {
		what = fmt.Sprintf("these %d patches", n)
	}
	text := fmt.Sprintf("I tested %s on %s.\n\n%s\nTested-by: %s\n", what, on, strings.Join(r.parts, "\n"), from)
	return r.Series.Answer(from, text)
}
