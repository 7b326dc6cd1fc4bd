// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// Mail writes the figures that a cover letter or a commit message quotes: plain
// text of at most 75 columns, indented, and a line that says where they are
// from. They are instructions and memory where these were counted, else the
// times of user space.
func Mail(w io.Writer, r *results.Results) error {
	s, m, err := newQuoted(r)
	if err != nil {
		return err
	}
	patched, decimals := s.mainKernel(), 1
	if m.Exact() {
		decimals = 0
	}

	table := &grid{left: []bool{true, false, false, false}, gap: "  "}
	table.add(strings.Repeat(" ", mailLabel), "vCPUs", "before", "after")
	for _, of := range figure.Lines() {
		label := of.Label
		for _, n := range of.Sizes {
			key := of.Of
			key.VCPUs = n
			old, ok := r.Find(key, s.base, m)
			if !ok {
				continue
			}
			now, ok := r.Find(key, patched, m)
			if !ok {
				return fmt.Errorf("report: %s was measured on %s and not on %s", key.Name(), s.base, patched)
			}
			table.add("  "+label, fmt.Sprint(n), number(old.Value, decimals), number(now.Value, decimals))
			label = ""
		}
	}
	if len(table.rows) == 1 {
		return errNothingToQuote
	}

	p := &paper{}
	p.line("", s.source(m)+"\n")
	table.write(p)
	return p.writeTo(w)
}

// mailLabel is the width of the labels in a mail, indented.
const mailLabel = 36

// mainKernel is the one that results are about, whatever variants there are.
func (s *sheet) mainKernel() string {
	if slices.Contains(s.kernels, namePatched) || len(s.kernels) == 0 {
		return namePatched
	}
	return s.kernels[len(s.kernels)-1]
}

// errNothingToQuote is returned where the method is missing that is quoted.
var errNothingToQuote = errors.New("report: found neither counted instructions nor times of user space, which are what is quoted")

// newQuoted lays out the figures of r, and says by which method they are quoted.
func newQuoted(r *results.Results) (*sheet, figure.Method, error) {
	if len(r.Kernels) < 2 {
		return nil, "", fmt.Errorf("report: expected two kernels, found %d", len(r.Kernels))
	}
	s := newSheet(r)
	if slices.Contains(s.methods, figure.ICount) {
		return s, figure.ICount, nil
	}
	return s, figure.Native, nil
}

// source says where quoted figures are from.
func (s *sheet) source(m figure.Method) string {
	base := s.Kernels[0]
	// The compiler's version is the last word of its line.
	compiler := base.Compiler[strings.LastIndexByte(base.Compiler, ' ')+1:]
	if m == figure.Native {
		return fmt.Sprintf("Nanoseconds, of the lookups alone, compiled for user space, Linux %s,\ngcc %s, %s:",
			base.Release, compiler, s.Host.CPU)
	}
	return fmt.Sprintf("Instructions, counted by %s (TCG, -icount shift=0), Linux %s,\ngcc %s, %s preemption, %s RCU, HZ=%d:",
		shortQEMU(s.Host.QEMU), base.Release, compiler, base.Preemption, base.RCU, base.HZ)
}
