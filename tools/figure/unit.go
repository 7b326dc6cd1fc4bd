// SPDX-License-Identifier: GPL-2.0-only

package figure

// Unit is what figures are in.
type Unit struct {
	// Counted is its name where instructions are counted, Timed where time is
	// measured, "" if that is the same.
	Counted, Timed string
	// Cost says that it is of the method's quantity: instructions or ns. A
	// count is not time: instructions get fewer, only times get faster.
	Cost       bool
	Difference bool // a change is shown as one, not as a ratio: a structure grows by a member
	Places     int  // the decimals that are always shown, 0 if the figure decides
	// Better and Worse say which way a figure went, "" for fewer and more.
	Better, Worse string
}

// On is the unit's name in JSON and for benchstat.
func (u Unit) On(m Method) string {
	if m == ICount || u.Timed == "" {
		return u.Counted
	}
	return u.Timed
}

// Words say which way a figure went that got better, and one that got worse.
func (u Unit) Words(m Method) (better, worse string) {
	switch {
	case u.Better != "":
		return u.Better, u.Worse
	case u.Cost && m != ICount:
		return "faster", "slower"
	}
	return "fewer", "more"
}

// Property is what benchstat is told of units.
type Property struct {
	Units []string
	Is    string
}

// Method is how something was measured: it decides what its unit means.
type Method string

// The ways to measure.
const (
	ICount Method = "tcg-icount" // QEMU's TCG with -icount shift=0, instructions, exact
	KVM    Method = "kvm"        // a real processor under QEMU with KVM, nanoseconds
	// Running: the kernel that runs on the machine, nanoseconds. A boot is a
	// run there, which loads the module again: the kernel stays the same.
	Running Method = "running"
	// Native: the lookups alone, compiled for user space on this machine's
	// processor, nanoseconds. A boot is a process there.
	Native Method = "native"
)

// Methods lists them in the order in which to show them.
var Methods = []Method{ICount, KVM, Running, Native}

// Exact says that two runs of the same loop give the same figure.
func (m Method) Exact() bool { return m == ICount }

// methodText is what people are told about a method.
type methodText struct{ Title, Quantity, Sentence, Caption, Repeated string }

// Title heads the method, Quantity is what its costs count, Sentence says what its unit means,
// Caption under a plot where figures are from, and Repeated is the unit of repetition.
func (m Method) Title() string    { return table.Methods[m].Title }
func (m Method) Quantity() string { return table.Methods[m].Quantity }
func (m Method) Sentence() string { return table.Methods[m].Sentence }
func (m Method) Caption() string  { return table.Methods[m].Caption }
func (m Method) Repeated() string { return table.Methods[m].Repeated }
