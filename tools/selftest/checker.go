// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"slices"
	"strings"

	"vcpulab/ebpf/wire"
)

// checkerPrefix begins the name of the result of a checker: that it was on at the
// end of each guest, and what it did not say means something.
const checkerPrefix = "checker: "

// IsChecker tells whether a result is that of one of Options.Checkers, by its name.
func IsChecker(name string) bool { return strings.HasPrefix(name, checkerPrefix) }

// takeCheckers takes what a guest says of its checkers. It has to be what it was
// asked for.
func (g *guest) takeCheckers(all []wire.Checker) error {
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	if !slices.Equal(names, g.r.opts.Checkers) || g.checkers != nil {
		return fmt.Errorf("the guest reports on %q, expected %q once", names, g.r.opts.Checkers)
	}
	g.checkers = all
	return nil
}

// finishCheckers takes what the checkers of a guest that has ended have come to. The
// first that was off counts.
func (r *runner) finishCheckers(g *guest) {
	for _, c := range g.checkers {
		old, known := r.checkers[c.Name]
		if known && old.Outcome == Fail {
			continue
		}
		res := Result{Name: checkerPrefix + c.Name, Outcome: Pass}
		if c.Wrong != "" {
			res.Outcome, res.Reason = Fail, fmt.Sprintf("it was off at the end of guest %d, after %s: %s", g.number, g.tests[len(g.tests)-1].Name, c.Wrong)
		}
		r.checkers[c.Name] = res
	}
}

// endCheckers makes a result of each checker.
func (r *runner) endCheckers() {
	for _, name := range r.opts.Checkers {
		res, known := r.checkers[name]
		if !known {
			res = Result{Name: checkerPrefix + name, Outcome: Fail, Reason: "no guest came to its end, where it had to prove that it is on"}
		}
		res.Reason = clip(res.Reason, maxReason)
		r.results[res.Name] = res
		if r.opts.OnResult != nil {
			r.opts.OnResult(res)
		}
	}
}
