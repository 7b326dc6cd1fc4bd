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
	if len(r.Kernels) < 2 {
		return fmt.Errorf("report: expected two kernels, found %d", len(r.Kernels))
	}
	s := newSheet(r)
	patched := s.mainKernel()
	m, decimals := s.quotedMethod()

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
		return errors.New("report: found neither counted instructions nor times of user space, which are what mails quote")
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

// quotedMethod is the one whose figures are quoted, and the decimals that they
// are worth.
func (s *sheet) quotedMethod() (figure.Method, int) {
	if slices.Contains(s.methods, figure.ICount) {
		return figure.ICount, 0
	}
	return figure.Native, 1
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
