// SPDX-License-Identifier: GPL-2.0-only

package vm

import "regexp"

var (
	// backtrace begins the backtrace of whoever complains.
	backtrace = regexp.MustCompile(`^Call [Tt]race:$`)
	// frame is a line of it, which may begin with addresses. What has a question mark
	// before it was only found on the stack.
	frame = regexp.MustCompile(`^(?: |\[<?[0-9a-f]{8,}>?\] ){1,3}([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+`)
	// traced ends one on x86, and a report of a WARN().
	traced = regexp.MustCompile(`^(?: </TASK>$|---\[ end )`)
)

// callerFinder finds who called the code that complains.
type callerFinder struct {
	of      []int  // numbers of the splats whose caller it looks for
	by      string // who printed the last of them
	tracing bool   // what comes is its backtrace
}

// begin takes note that a splat begins, which is number n.
func (c *callerFinder) begin(n int, s Splat, by string) {
	switch ofHelper := helper.MatchString(ownName(s.Func)); {
	case !ofHelper && !callerWanted.MatchString(s.Title):
		c.of = nil
	case ofHelper && len(c.of) > 0 && !c.tracing && by == c.by:
		c.of = append(c.of, n) // its WARN() tells where the other is from
	default:
		c.of = []int{n}
	}
	c.by, c.tracing = by, false
}

// add takes a later message, and tells whether it has the caller of the splats c.of.
func (c *callerFinder) add(m message) (caller string, ok bool) {
	if len(c.of) == 0 || m.by != c.by {
		return "", false
	}
	at := frame.FindStringSubmatch(m.text)
	switch {
	case backtrace.MatchString(m.text):
		c.tracing = true
	case c.tracing && at != nil && !helper.MatchString(ownName(at[1])):
		return ownName(at[1]), true
	case c.tracing && traced.MatchString(m.text):
		c.of = nil
	}
	return "", false
}
