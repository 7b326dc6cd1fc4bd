// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"vcpulab/tools/results"
)

// raw collects the figures that a page shows, so that each number on it can lead
// to the samples that it is drawn from.
type raw struct {
	r     *results.Results
	index map[figureKey]int // in Results.Figures
	shown map[int]bool
}

// figureKey tells figures apart.
type figureKey struct {
	name, column string
	arm          results.Method
}

func newRaw(r *results.Results) *raw {
	w := &raw{r: r, index: make(map[figureKey]int), shown: make(map[int]bool)}
	for i, f := range r.Figures {
		w.index[figureKey{f.Name, f.Column, f.Method}] = i
	}
	return w
}

// quoted is a number on the page.
type quoted struct {
	Text string
	// ID is that of the element with its samples, "" if it has none: a number
	// that was not measured.
	ID string
}

// quote is a cell as text does it, with where its samples are. A cell that stands
// for several figures that look the same leads to the first of them.
func (s *sheet) quote(g group, r row, arm results.Method, column string) quoted {
	q := quoted{Text: g.text(r, arm, column)}
	for i, one := range append([]row{r}, r.alike...) {
		f, ok := one.cells[cell{arm, column}]
		if !ok {
			continue
		}
		n := s.raw.index[figureKey{f.Name, f.Column, f.Method}]
		s.raw.shown[n] = true
		if i == 0 {
			q.ID = figureID(n)
		}
	}
	return q
}

// figureID is the id of the element with the samples of a figure.
func figureID(n int) string { return fmt.Sprintf("f%d", n) }

// Unbroken is the text as it must stay in one line.
func (q quoted) Unbroken() string { return strings.ReplaceAll(q.Text, " ", "\u00a0") }

// rawGroup are the samples of the figures of one kind on one arm.
type rawGroup struct {
	Title string
	Count string
	Names []rawName
}

// rawName are those of the figures of one name, a column each.
type rawName struct {
	Name, Unit string
	Figures    []rawFigure
}

// rawFigure is the samples of one figure.
type rawFigure struct {
	ID, Column string
	// Pointer is where the figure stands in the JSON, From where in each boot
	// the samples stand that it is drawn from, both as JSON pointers.
	Pointer, From string
	// Samples are the figure's members "boots" and "values", as in the JSON.
	Samples template.HTML
}

// rawGroups are the samples of all figures that were quoted before.
func (s *sheet) rawGroups() ([]rawGroup, error) {
	sources := make([]map[string]string, len(s.r.Boots))
	var out []rawGroup
	for _, arm := range s.arms {
		for _, g := range s.groups {
			title, _, _ := g.kind.about()
			group, count := rawGroup{Title: title + ", " + armName(arm)}, 0
			for _, r := range g.rows {
				name, err := s.rawName(r, arm, sources)
				if err != nil {
					return nil, err
				}
				if count += len(name.Figures); len(name.Figures) > 0 {
					group.Names = append(group.Names, name)
				}
			}
			if group.Count = figureCount(count); count > 0 {
				out = append(out, group)
			}
		}
	}
	return out, nil
}

func figureCount(n int) string { return count(n, "figure") }

// rawName are the samples of a row on an arm, of the columns that were quoted.
func (s *sheet) rawName(r row, arm results.Method, sources []map[string]string) (rawName, error) {
	var out rawName
	columns := slices.Clone(s.kernels)
	if len(columns) > 0 {
		columns = slices.Insert(columns, 1, again(columns[0]))
	}
	for _, column := range columns {
		f, ok := r.cells[cell{arm, column}]
		n := s.raw.index[figureKey{f.Name, f.Column, f.Method}]
		if !ok || !s.raw.shown[n] {
			continue
		}
		samples, err := json.Marshal(struct {
			Boots  []int     `json:"boots"`
			Values []float64 `json:"values"`
		}{f.Boots, f.Values})
		if err != nil {
			return out, fmt.Errorf("samples of %s: %w", f.Name, err)
		}
		out.Name, out.Unit = f.Name, f.Unit
		out.Figures = append(out.Figures, rawFigure{
			ID: figureID(n), Column: column, Pointer: fmt.Sprintf("/figures/%d", n),
			From: s.from(f, sources),
			// Numbers and the names of the members, of which nothing has to be escaped.
			Samples: template.HTML(samples),
		})
	}
	return out, nil
}

// from is where the samples of a figure stand in each of its boots, "" if they
// do not stand at one and the same place.
func (s *sheet) from(f results.Figure, sources []map[string]string) string {
	place := ""
	for i, b := range f.Boots {
		if b < 0 || b >= len(s.r.Boots) {
			return ""
		}
		if sources[b] == nil {
			// Boots that contradict themselves have no samples that say anything.
			if sources[b], _ = s.r.Boots[b].Sources(); sources[b] == nil {
				sources[b] = map[string]string{}
			}
		}
		here := sources[b][f.Name]
		if i > 0 && here != place {
			return ""
		}
		place = here
	}
	return place
}
