// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"fmt"

	"vcpulab/tools/ctoken"
)

// check looks whether the steps stand in the function, in their order.
func (o *orderRule) check(src *patched) []Finding {
	data := src.read(o.File)
	body := ctoken.Scan(data).Function(o.Function)
	if len(body) == 0 {
		return []Finding{{
			File: o.File, Message: "there is no function " + o.Function + "(), which " + rulesFile + " is about", Do: "mend the function's name in the table",
		}}
	}
	var found []Finding
	add := func(at int, message, expected string) {
		found = append(found, Finding{
			File: o.File, Line: body[at].Line, Function: o.Function, Message: message, Expected: expected, Found: statement(data, body, at), Why: o.Why,
		})
	}
	at, listed := 0, make(map[string]int) // where the last step ends, and how often each is in the table
	complete := false
	for i, p := range o.Steps {
		listed[p.String()]++
		pos, n := p.Find(body, at)
		complete = pos >= 0
		if complete {
			at = pos + n
			continue
		}
		expected := p.String()
		if i > 0 {
			expected += ", after " + o.Steps[i-1].String()
		}
		if early, _ := p.Find(body, 0); early >= 0 {
			add(early, "this comes too early", expected)
			continue
		}
		add(min(at, len(body)-1), "a step is missing", expected)
		found[len(found)-1].Found = "nothing like it in the function"
	}
	for _, p := range o.Steps {
		left, first := listed[p.String()]
		delete(listed, p.String())
		if !first || !tells(p) {
			continue
		}
		for pos, n := p.Find(body, 0); pos >= 0; pos, n = p.Find(body, pos+n) {
			if left--; left < 0 {
				add(pos, "this is done once more", p.String()+" as often as the table has it")
			}
		}
	}
	if o.Last && complete {
		if at < len(body) && body[at].Text == ";" {
			at++
		}
		if at < len(body) {
			add(at, "something comes after the last step", o.Steps[len(o.Steps)-1].String()+" as the end of the function")
		}
	}
	for _, g := range o.Gaps {
		from, n := g.After.Find(body, 0)
		if from < 0 {
			continue // a step that is missing is a finding of its own
		}
		to, _ := g.Before.Find(body, from+n)
		if to < 0 {
			continue
		}
		for _, p := range g.Never {
			if bad, _ := p.Find(body[:to], from+n); bad >= 0 {
				add(bad, "this must not come here", fmt.Sprintf("no %s between %s and %s", p, g.After, g.Before))
			}
		}
	}
	return found
}

// tells says whether it means something how often a step is done: to return,
// or to end a block, does not.
func tells(p form) bool {
	first := p.First()
	return first != "return" && first != "}"
}

// check looks whether the form stands in the file.
func (x *textRule) check(src *patched) []Finding {
	if at, _ := x.Form.Find(ctoken.Scan(src.read(x.File)).Tokens, 0); at >= 0 {
		return nil
	}
	return []Finding{{File: x.File, Message: "something is missing", Expected: x.Form.String(), Found: "nothing like it in the file", Why: x.Why}}
}
