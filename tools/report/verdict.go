// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"slices"
	"strings"
)

// with is a column with a number in it: "walks in the caches (0.6 ns a vCPU)".
func (c DesignColumn) with(number string) string {
	return fmt.Sprintf("%s (%s)", c.Wins, strings.TrimSpace(number+" "+c.Unit))
}

// number is a cell's as a sentence has it: of lines the sum.
func (c DesignCell) number() string {
	if c.place.Key.Op == "" {
		return number(*c.Value, 0)
	}
	return c.Text
}

// sentence says which designs are ahead in which columns.
func (d *Designs) sentence() string {
	var won ordered[string] // columns by who is first
	for c, column := range d.Columns {
		var names []string
		var best DesignCell
		for _, i := range d.first[c] {
			names = append(names, d.Rows[i].Name)
			if own := d.Rows[i].Cells[c]; best.Value == nil || *own.Value < *best.Value {
				best = own
			}
		}
		switch len(names) {
		case 0:
		case 1:
			won.add(names[0]+" is first at", column.with(best.number()))
		default:
			won.add(list(names)+" are first at", column.with(best.number()))
		}
	}
	var clauses, names []string
	for _, who := range won.keys {
		clauses = append(clauses, who+" "+list(won.of[who]))
	}
	for _, r := range d.Rows {
		if !r.Limit {
			names = append(names, r.Name)
		}
	}
	if len(clauses) == 0 {
		return fmt.Sprintf("Of %s, none is ahead of the others in anything that was measured.", list(names))
	}
	return fmt.Sprintf("Of %s, %s.", list(names), strings.Join(clauses, "; "))
}

// answer says which designs other than the baseline's the figures favour, those that
// are first in the most columns, and how the main series compares with each of them.
func (d *Designs) answer() string {
	wins, compared := make([]int, len(d.Rows)), 0
	for _, rows := range d.first {
		compared += min(len(rows), 1)
		for _, i := range rows {
			wins[i]++
		}
	}
	most := slices.Max(wins[1:])
	if most == 0 {
		return "The figures favour no design."
	}
	var rows []int
	var names, others []string
	for i, r := range d.Rows {
		switch {
		case i > 0 && wins[i] == most:
			rows, names = append(rows, i), append(names, r.Name)
		case !r.Limit:
			others = append(others, fmt.Sprintf("%s in %d", r.Name, wins[i]))
		}
	}
	which := ", which is first"
	if len(names) > 1 {
		which = ", each of which is first"
	}
	text := fmt.Sprintf("The figures favour %s%s, alone or with others, in %d of the %d columns in which designs differ", list(names), which, most, compared)
	if len(others) > 0 {
		text += " (" + list(others) + ")"
	}
	text += "."
	main := slices.IndexFunc(d.Rows, func(r DesignRow) bool { return r.Name == namePatched })
	if main < 0 || slices.Contains(rows, main) {
		return text
	}
	for _, i := range rows {
		text += " " + d.against(main, i)
	}
	return text
}

// against says in what a row is ahead of another one, and in what behind.
func (d *Designs) against(row, other int) string {
	a, b := d.Rows[row], d.Rows[other]
	var before, behind []string
	for c, column := range d.Columns {
		if column.Wins == "" || a.Cells[c].Value == nil || b.Cells[c].Value == nil {
			continue
		}
		text := fmt.Sprintf("%s (%s, not %s)", column.Wins, a.Cells[c].number(), b.Cells[c].number())
		switch ahead(column, a.Cells[c], b.Cells[c]) {
		case -1:
			before = append(before, text)
		case 1:
			behind = append(behind, text)
		}
	}
	speaks := fmt.Sprintf("What speaks for %s instead of %s: %s", a.Name, b.Name, list(before))
	if len(before) == 0 {
		speaks = fmt.Sprintf("Nothing that was measured speaks for %s instead of %s", a.Name, b.Name)
	}
	if len(behind) == 0 {
		return speaks + "."
	}
	return fmt.Sprintf("%s; what speaks against it: %s.", speaks, list(behind))
}
