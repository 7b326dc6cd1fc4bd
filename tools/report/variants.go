// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"slices"
	"strings"
	"unicode/utf8"

	"vcpulab/tools/results"
)

// namePatched is the kernel that results are about, where there are several.
const namePatched = "patched"

// hasVariants says that there are more kernels than the two that the first
// tables compare.
func (s *sheet) hasVariants() bool { return len(s.kernels) > 1+len(s.against) }

// variantRows returns the rows of a group with the figures of all kernels, those
// that follow each other and look the same made one.
func (s *sheet) variantRows(g group, arm results.Method) []row {
	var out []row
	for _, next := range g.rows {
		same := func(column string) bool {
			return g.text(out[len(out)-1], arm, column) == g.text(next, arm, column)
		}
		if n := len(out); n > 0 && out[n-1].label == next.label && !slices.ContainsFunc(s.kernels, func(k string) bool { return !same(k) }) {
			out[n-1].sizes = append(slices.Clip(out[n-1].sizes), next.sizes...)
			continue
		}
		out = append(out, next)
	}
	return out
}

// variantGroups are those that a table over all kernels has.
func (s *sheet) variantGroups() []group {
	if !s.hasVariants() {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.groups), func(g group) bool { return g.kind == kindOther })
}

// variants writes the figures of all kernels side by side.
func (t *table) variants(arm results.Method) {
	groups := t.variantGroups()
	if len(groups) == 0 {
		return
	}
	widths := make([]int, len(t.kernels))
	for i, k := range t.kernels {
		widths[i] = len(k)
		for _, g := range groups {
			for _, r := range g.rows {
				widths[i] = max(widths[i], utf8.RuneCountInString(g.text(r, arm, k)))
			}
		}
	}
	title := "All kernels"
	if len(t.arms) > 1 {
		title += ", " + armName(arm)
	}
	t.line("", "")
	t.line(bold, title)
	for i, k := range t.r.Kernels {
		if k.About != "" {
			t.line("", indent+pad(t.kernels[i], slices.Max(widths))+"  "+k.About)
		}
	}
	line := pad("", len(indent)+t.label) + "  " + padLeft("vCPUs", t.size)
	for i, k := range t.kernels {
		line += "  " + padLeft(k, widths[i])
	}
	t.line(faint, line)
	for _, g := range groups {
		t.line(bold, g.heading([]results.Method{arm}))
		last := ""
		for _, r := range t.variantRows(g, arm) {
			label := rowLabel(r)
			if label == last {
				label = ""
			} else {
				last = label
			}
			line := indent + pad(label, t.label) + "  " + padLeft(rowSize(g, r), t.size)
			for i, k := range t.kernels {
				line += "  " + padLeft(g.text(r, arm, k), widths[i])
			}
			t.line("", line)
		}
	}
}

// heading is the title of a group with the units of its figures.
func (g group) heading(arms []results.Method) string {
	title, per, _ := g.kind.about()
	var units []string
	for _, arm := range arms {
		switch {
		case g.kind == kindRate:
			units = append(units, ratePer(arm))
		case g.kind.costs():
			units = append(units, unitName(arm))
		}
	}
	if len(units) > 0 {
		per = strings.TrimSpace(strings.Join(units, " or ") + " " + per)
	}
	if per == "" {
		return title
	}
	return title + ", " + per
}

// variantAnswer is a line of the page's table over all kernels.
type variantAnswer struct {
	Code, What, Sizes string
	Values            [][]quoted
}

// variantAnswers sum up the sheet for all kernels, an operation a line.
func (s *sheet) variantAnswers(arm results.Method) []variantAnswer {
	var out []variantAnswer
	for _, g := range s.variantGroups() {
		for _, rows := range s.lines(g) {
			a := variantAnswer{Sizes: sizesOver(g.kind, rows)}
			a.Code, a.What = g.headline(rows[0])
			for _, k := range s.kernels {
				a.Values = append(a.Values, s.over(g, rows, arm, k))
			}
			out = append(out, a)
		}
	}
	return out
}

// variantMarkdown writes the figures of all kernels side by side.
func (s *sheet) variantMarkdown(b *strings.Builder, arm results.Method) {
	groups := s.variantGroups()
	if len(groups) == 0 {
		return
	}
	lines := [][]string{{unitName(arm) + " (" + armName(arm) + ")", "vCPUs"}, {":---", "---:"}}
	for _, k := range s.kernels {
		lines[0], lines[1] = append(lines[0], k), append(lines[1], "---:")
	}
	for _, g := range groups {
		last := ""
		for _, r := range s.variantRows(g, arm) {
			label := g.markdownLabel(r)
			line := []string{label, escapeMarkdown(rowSize(g, r))}
			if label == last {
				line[0] = ""
			}
			last = label
			for _, k := range s.kernels {
				line = append(line, g.text(r, arm, k))
			}
			lines = append(lines, line)
		}
	}
	writeAligned(b, lines)
}
