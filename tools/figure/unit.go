// SPDX-License-Identifier: GPL-2.0-only

package figure

// Unit is what figures are in.
type Unit struct {
	counted, timed string // its name where instructions are counted, and where time is measured
	// Cost says that it is of the method's quantity: instructions or ns.
	Cost bool
	// Difference says that a change is shown as a difference, not as a ratio:
	// a structure grows by a member.
	Difference bool
	// Decimals are those that are always shown, -1 if the figure decides.
	Decimals int
	// better and worse say which way a figure went.
	better, worse string
	// benchstat is what the Go benchmark format says of the unit, "" if
	// nothing.
	benchstat string
}

// cost is a unit of the method's quantity for one of something. A count is not
// time: instructions get fewer, only times get faster.
func cost(of string) Unit {
	return Unit{counted: "insns/" + of, timed: "ns/" + of, Cost: true, Decimals: -1}
}

// number is a unit of which less is better, in whatever way it is measured.
func number(name string) Unit { return Unit{counted: name, timed: name, Decimals: -1} }

// ratio is a unit of one cost to another.
func ratio(name, better, worse string) Unit {
	return Unit{counted: name, timed: name, Decimals: 2, better: better, worse: worse}
}

// exact is a unit of which benchstat expects the same value each time, where
// it is counted.
func exact(u Unit) Unit {
	u.benchstat = "assume=exact"
	return u
}

// difference is a unit of which changes are shown as differences.
func difference(u Unit) Unit {
	u.Difference = true
	return u
}

// The units. Elapsed is the time that a thread waits: under icount the clock
// goes on by one nanosecond with each instruction, and while the machine is
// idle, to the next timer: neither is time. A rate is so many calls in a
// second, or while the processor runs 10^9 instructions.
var (
	perLookup  = exact(cost("op"))
	perIoctl   = cost("ioctl")
	perVM      = cost("vm")
	perRun     = cost("run")
	perGap     = cost("gap")
	perRead    = cost("read")
	perInsert  = cost("insert")
	elapsed    = Unit{counted: "virtual-ns", timed: "ns", Decimals: -1}
	rate       = Unit{counted: "calls/Ginsn", timed: "calls/s", Decimals: -1, better: "more", worse: "fewer", benchstat: "better=higher"}
	cycles     = number("cycles/op")
	bytes      = difference(exact(number("B")))
	bytesHeld  = exact(number("B/vm"))
	waits      = difference(exact(number("grace-periods")))
	steepness  = ratio("ratio", "flatter", "steeper")
	slowdown   = ratio("slowdown", "less disturbed", "more disturbed")
	gaps       = number("gaps")
	blocks     = number("blocks")
	contended  = number("contended")
	defers     = number("deferred-frees")
	unitsNamed = []Unit{perLookup, bytes, bytesHeld, waits, rate}
)

// On is the unit's name in JSON and for benchstat.
func (u Unit) On(m Method) string {
	if m == ICount {
		return u.counted
	}
	return u.timed
}

// Words say which way a figure went that got better, and one that got worse.
func (u Unit) Words(m Method) (better, worse string) {
	switch {
	case u.better != "":
		return u.better, u.worse
	case u.Cost && m != ICount:
		return "faster", "slower"
	}
	return "fewer", "more"
}

// Property is what benchstat is told of a unit.
type Property struct{ Unit, Is string }

// Properties lists what benchstat has to know. Times are not exact.
func Properties() []Property {
	var out []Property
	for _, u := range unitsNamed {
		out = append(out, Property{u.counted, u.benchstat})
		if u.timed != u.counted && !u.Cost {
			out = append(out, Property{u.timed, u.benchstat})
		}
	}
	return out
}
