// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"slices"
	"strings"
)

// list joins words: a, b and c.
func list(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

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
	var winners []string
	won := make(map[string][]string)
	for c, column := range d.Columns {
		rows := d.first(c)
		if len(rows) == 0 {
			continue
		}
		var names []string
		best := d.Rows[rows[0]].Cells[c]
		for _, i := range rows {
			names = append(names, d.Rows[i].Name)
			if *d.Rows[i].Cells[c].Value < *best.Value {
				best = d.Rows[i].Cells[c]
			}
		}
		who := list(names)
		if len(names) > 1 {
			who += " are first at"
		} else {
			who += " is first at"
		}
		if won[who] == nil {
			winners = append(winners, who)
		}
		won[who] = append(won[who], column.with(best.number()))
	}
	var clauses []string
	for _, who := range winners {
		clauses = append(clauses, who+" "+list(won[who]))
	}
	names := make([]string, 0, len(d.Rows))
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

// wins counts the columns in which a row is first.
func (d *Designs) wins(row int) int {
	n := 0
	for _, c := range d.Rows[row].Cells {
		if c.Best {
			n++
		}
	}
	return n
}

// favoured are the rows, other than the baseline's, that are first in the most
// columns; none if none is.
func (d *Designs) favoured() (rows []int, wins int) {
	for i, r := range d.Rows {
		n := d.wins(i)
		switch {
		case i == 0 || r.Limit || n == 0 || n < wins:
		case n > wins:
			rows, wins = []int{i}, n
		default:
			rows = append(rows, i)
		}
	}
	return rows, wins
}

// answer says which designs the figures favour, and how the main series compares
// with each of them.
func (d *Designs) answer() string {
	rows, wins := d.favoured()
	compared := 0
	for c := range d.Columns {
		if len(d.first(c)) > 0 {
			compared++
		}
	}
	if len(rows) == 0 {
		return "The figures favour no design."
	}
	var names, others []string
	for i, r := range d.Rows {
		switch {
		case slices.Contains(rows, i):
			names = append(names, r.Name)
		case !r.Limit:
			others = append(others, fmt.Sprintf("%s in %d", r.Name, d.wins(i)))
		}
	}
	which := ", which is first"
	if len(names) > 1 {
		which = ", each of which is first"
	}
	text := fmt.Sprintf("The figures favour %s%s, alone or with others, in %d of the %d columns in which designs differ", list(names), which, wins, compared)
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
