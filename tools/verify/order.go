// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"fmt"
	"slices"

	"vcpulab/tools/ctoken"
)

// check looks whether the steps stand in the function, in their order.
func (o *orderRule) check(src *patched) ([]Finding, error) {
	data, err := src.read(o.File)
	if err != nil {
		return nil, err
	}
	body := ctoken.Scan(data).Function(o.Function)
	if len(body) == 0 {
		return []Finding{{
			File: o.File, Message: "there is no function " + o.Function + "(), which " + rulesFile + " is about", Do: "mend the function's name in the table",
		}}, nil
	}
	var found []Finding
	add := func(line int, message, expected, is string) {
		found = append(found, Finding{
			File: o.File, Line: line, Function: o.Function, Message: message, Expected: expected, Found: is, Why: o.Why,
		})
	}
	ends := make([]int, len(o.steps)) // where a step ends, -1 if it is missing
	at := 0
	for i, p := range o.steps {
		pos, n := p.Find(body, at)
		if pos >= 0 {
			at = pos + n
			ends[i] = at
			continue
		}
		ends[i] = -1
		if early, _ := p.Find(body, 0); early >= 0 {
			add(body[early].Line, "this comes too early", fmt.Sprintf("%s, after %s", p, o.Steps[i-1]), statement(body, early))
			continue
		}
		expected := p.String()
		if i > 0 {
			expected += ", after " + o.Steps[i-1]
		}
		add(body[min(at, len(body)-1)].Line, "a step is missing", expected, "nothing like it in the function")
	}
	for i, p := range o.steps {
		if slices.Index(o.Steps, o.Steps[i]) < i || !tells(p) {
			continue
		}
		listed := 0
		for _, text := range o.Steps {
			if text == o.Steps[i] {
				listed++
			}
		}
		for pos, n := p.Find(body, 0); pos >= 0; pos, n = p.Find(body, pos+n) {
			if listed--; listed < 0 {
				add(body[pos].Line, "this is done once more", p.String()+" as often as the table has it", statement(body, pos))
			}
		}
	}
	if last := ends[len(ends)-1]; o.Last && last >= 0 {
		if last < len(body) && body[last].Text == ";" {
			last++
		}
		if last < len(body) {
			add(body[last].Line, "something comes after the last step", o.Steps[len(o.Steps)-1]+" as the end of the function", statement(body, last))
		}
	}
	for _, g := range o.Gaps {
		from, n := g.after.Find(body, 0)
		if from < 0 {
			continue // a step that is missing is a finding of its own
		}
		to, _ := g.before.Find(body, from+n)
		if to < 0 {
			continue
		}
		for i, p := range g.never {
			if bad, _ := p.Find(body[:to], from+n); bad >= 0 {
				add(body[bad].Line, "this must not come here", fmt.Sprintf("no %s between %s and %s", g.Never[i], g.After, g.Before), statement(body, bad))
			}
		}
	}
	return found, nil
}

// tells says whether it means something how often a step is done: to return,
// or to end a block, does not.
func tells(p ctoken.Pattern) bool {
	first := p.First()
	return first != "return" && first != "}"
}

// check looks whether the form stands in the file.
func (x *textRule) check(src *patched) ([]Finding, error) {
	data, err := src.read(x.File)
	if err != nil {
		return nil, err
	}
	if at, _ := x.pattern.Find(ctoken.Scan(data).Tokens, 0); at >= 0 {
		return nil, nil
	}
	return []Finding{{File: x.File, Message: "something is missing", Expected: x.Form, Found: "nothing like it in the file", Why: x.Why}}, nil
}
