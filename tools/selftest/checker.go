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

// lasting are the checkers that go on whatever the kernel reports: a report during
// the test that turned one off is there by chance.
var lasting = []string{wire.KCSAN, wire.FaultInjection}

// takeCheckers takes what a guest says of its checkers: of those that it was asked for,
// and a test that it blames has to have ended.
func (g *guest) takeCheckers(all []wire.Checker) error {
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
		if c.After != "" && (c.Wrong == "" || g.result(c.After) == nil) {
			return fmt.Errorf("the guest reports that %s was off after %q, of which it has no result", c.Name, c.After)
		}
	}
	if !slices.Equal(names, g.r.opts.Checkers) || g.checkers != nil {
		return fmt.Errorf("the guest reports on %q, expected %q once", names, g.r.opts.Checkers)
	}
	g.checkers = all
	return nil
}

// finishCheckers takes what the checkers of a guest that has ended have come to. The
// first that was off for no reason counts.
func (r *runner) finishCheckers(g *guest) {
	for _, c := range g.checkers {
		res, known := r.checkers[c.Name]
		if known && res.Outcome == Fail {
			continue
		}
		res.Name, res.Outcome = checkerPrefix+c.Name, Pass
		switch last := g.result(c.After); {
		case c.Wrong == "":
		case last == nil:
			res.Outcome, res.Reason = Fail, fmt.Sprintf("it was never on in guest %d: %s", g.number, c.Wrong)
		case slices.Contains(lasting, c.Name):
			res.Outcome, res.Reason = Fail, fmt.Sprintf("%s turned it off in guest %d, which no report of the kernel does: %s", c.After, g.number, c.Wrong)
		case len(last.Splats) == 0:
			res.Outcome, res.Reason = Fail, fmt.Sprintf("%s turned it off in guest %d without a report of the kernel: %s", c.After, g.number, c.Wrong)
		default:
			// The report counts for the test, on both kernels.
			text := fmt.Sprintf("a report of the kernel during %s turned it off; the tests after it had a new guest", c.After)
			res.Reason = strings.TrimPrefix(res.Reason+"; "+text, "; ")
		}
		r.checkers[c.Name] = res
	}
}

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
