// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// quoted is a number on the page.
type quoted struct {
	Text string
	// ID is that of the element with its samples, "" if it has none: a number
	// that was not measured.
	ID string
}

// quote is a figure as it is shown, with where its samples are. A row that stands
// for several that look the same leads to the first of them.
func (s *sheet) quote(r row, c cell) quoted {
	q := quoted{Text: r.number(c)}
	for i, one := range append([]row{r}, r.alike...) {
		n, ok := s.index[results.Place{Key: one.key, Column: c.column, Method: c.method}]
		if !ok {
			continue
		}
		s.shown[n] = true
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

// rawGroup are the samples of the figures of one group by one method.
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

// RawGroups are the samples of all figures that were quoted before.
func (s *sheet) RawGroups() ([]rawGroup, error) {
	sources := make([]map[figure.Key]string, len(s.Boots))
	for i, b := range s.Boots {
		sources[i], _ = b.Sources() // boots that contradict themselves have none
	}
	var out []rawGroup
	for _, m := range s.methods {
		for _, g := range s.groups {
			of, figures := rawGroup{Title: g.Title + ", " + m.Title()}, 0
			for _, c := range g.curves {
				for _, r := range c.rows {
					name, err := s.rawName(r, m, sources)
					if err != nil {
						return nil, err
					}
					if figures += len(name.Figures); len(name.Figures) > 0 {
						of.Names = append(of.Names, name)
					}
				}
			}
			if of.Count = count(figures, "figure"); figures > 0 {
				out = append(out, of)
			}
		}
	}
	return out, nil
}

// rawName are the samples of a row by a method, of the columns that were quoted.
func (s *sheet) rawName(r row, m figure.Method, sources []map[figure.Key]string) (rawName, error) {
	out := rawName{Name: r.key.Name(), Unit: r.op().Unit.On(m)}
	columns := slices.Clone(s.kernels)
	if len(columns) > 0 {
		columns = slices.Insert(columns, 1, again(columns[0]))
	}
	for _, column := range columns {
		f, ok := r.cells[cell{m, column}]
		n := s.index[f.Place]
		if !ok || !s.shown[n] {
			continue
		}

		samples, err := json.Marshal(struct {
			Boots  []int     `json:"boots"`
			Values []float64 `json:"values"`
		}{f.Boots, f.Values})
		if err != nil {
			return out, fmt.Errorf("samples of %s: %w", f.Name(), err)
		}
		out.Figures = append(out.Figures, rawFigure{
			ID: figureID(n), Column: column, Pointer: fmt.Sprintf("/figures/%d", n), From: from(f, sources),
			// Numbers and the names of the members, of which nothing has to be escaped.
			Samples: template.HTML(samples),
		})
	}
	return out, nil
}

// from is where the samples of a figure are in each of its boots, "" if that is
// not the same place in all of them.
func from(f results.Figure, sources []map[figure.Key]string) string {
	var places []string
	for _, b := range f.Boots {
		if b < 0 || b >= len(sources) {
			return ""
		}
		places = append(places, sources[b][f.Key])
	}
	if places = slices.Compact(places); len(places) != 1 {
		return ""
	}
	return places[0]
}
