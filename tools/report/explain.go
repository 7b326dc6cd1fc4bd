// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	_ "embed"
	"slices"
	"strings"
	"text/template"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

//go:embed explain.txt.tmpl
var explainSource string

// explain has a line for each explanation, in the order in which they are given.
var explain = template.Must(template.New("explain").Parse(explainSource))

// Explanations say what the words in the sheet mean.
func (s *sheet) Explanations() ([]string, error) {
	var b strings.Builder
	err := explain.Execute(&b, s)
	return slices.DeleteFunc(strings.Split(b.String(), "\n"), func(line string) bool { return line == "" }), err
}

// has says that such a figure is shown.
func (s *sheet) has(of func(figure.Key) bool) bool {
	return slices.ContainsFunc(s.curves(), func(c *curve) bool { return of(c.rows[0].key) })
}

// Has says that figures of an operation are shown.
func (s *sheet) Has(op figure.Op) bool {
	return s.has(func(k figure.Key) bool { return k.Op == op })
}

// HasIDs says that lookups of such IDs are shown.
func (s *sheet) HasIDs(ids measure.IDs) bool {
	return s.has(func(k figure.Key) bool { return k.Op == figure.ByID && k.IDs == ids })
}

// MeasuredBy says that there are figures by a method.
func (s *sheet) MeasuredBy(m figure.Method) bool { return slices.Contains(s.methods, m) }

// Largest is how many vCPUs the largest VM has.
func (s *sheet) Largest() int { return s.largest }

// Siblings says that lookups raced with creations on one core.
func (s *sheet) Siblings() bool {
	return slices.ContainsFunc(s.Boots, func(b results.Boot) bool { return len(b.Races) > 0 && b.Races[0].Siblings })
}

// MeasuredAt lists the sizes of VMs that were measured, "" if none was.
func (s *sheet) MeasuredAt() string {
	var sizes []int
	for _, b := range s.Boots {
		for _, c := range b.Creates {
			sizes = append(sizes, c.VM.VCPUs)
		}
		for _, l := range b.Loops {
			sizes = append(sizes, l.VM.VCPUs)
		}
	}
	slices.Sort(sizes)
	return enumerate(slices.Compact(sizes))
}
