// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/ctoken"
)

var pairs = Check{
	Name: "pairs",
	Explain: "Where a comment that the series adds says that a barrier pairs with another, in a function that it names, that function is there and has that barrier. " +
		"Whoever changes one of the two goes by such comments.",
	Whole: true,
	Run: inTree(func(_ context.Context, _ *Submission, src *patched, log io.Writer) ([]Finding, error) {
		files := make(map[string]*ctoken.File)
		names := src.names([]string{"virt/kvm", "include/linux/kvm_host.h"}, ".c", ".h")
		for name, data := range src.over {
			if ext := path.Ext(name); data != nil && (ext == ".c" || ext == ".h") {
				names = append(names, name)
			}
		}
		for _, name := range names {
			files[name] = ctoken.Scan(src.read(name))
		}
		var found []Finding
		for _, name := range slices.Sorted(maps.Keys(files)) {
			known := make(map[string]bool)
			for _, c := range ctoken.Scan(src.before(name)).Comments {
				known[c.Text] = true
			}
			for _, c := range files[name].Comments {
				if known[c.Text] {
					continue
				}
				for _, p := range pairsOf(c.Text) {
					fmt.Fprintf(log, "%s:%d: %s() in %s()\n", name, c.Line, p.primitive, p.function)
					if f := p.check(files); f != nil {
						f.File, f.Line, f.Function = name, c.Line, c.Func
						found = append(found, *f)
					}
				}
			}
		}
		return found, nil
	}),
}

// pair is what a comment says that a barrier pairs with.
type pair struct{ primitive, function string }

var (
	pairsWith = regexp.MustCompile(`(?i)\bpairs? with (.*)`)
	// One primitive may be in several functions: "smp_rmb() in f() and in g()".
	pairWhere = regexp.MustCompile(`^(?:the )?(?:(\w+)\(\)|address dependenc\w+|\w+) in (\w+)\(\)((?:,? and in \w+\(\))*)`)
	pairMore  = regexp.MustCompile(`\w+\(\)`)
)

// pairsOf reads a comment.
func pairsOf(text string) []pair {
	var found []pair
	flat := strings.Join(strings.Fields(text), " ")
	for _, m := range pairsWith.FindAllStringSubmatch(flat, -1) {
		w := pairWhere.FindStringSubmatch(m[1])
		if w == nil {
			continue
		}
		found = append(found, pair{w[1], w[2]})
		for _, more := range pairMore.FindAllString(w[3], -1) {
			found = append(found, pair{w[1], strings.TrimSuffix(more, "()")})
		}
	}
	return found
}

// check returns a finding if the function is not there, or has not got the
// primitive.
func (p pair) check(files map[string]*ctoken.File) *Finding {
	there := ""
	for _, name := range slices.Sorted(maps.Keys(files)) {
		body := files[name].Function(p.function)
		if len(body) == 0 {
			continue
		}
		there = name
		if p.primitive == "" || slices.ContainsFunc(body, func(t ctoken.Token) bool { return t.Text == p.primitive }) {
			return nil
		}
	}
	f := &Finding{Message: "the comment names an unknown function: " + p.function + "()", Do: "name the one that has the barrier now"}
	if there != "" {
		f.Message = fmt.Sprintf("the comment says that %s() has %s(), which it has not", p.function, p.primitive)
		f.Expected = p.primitive + "() in " + p.function + "() of " + there
	}
	return f
}
