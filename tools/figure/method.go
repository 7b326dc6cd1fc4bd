// SPDX-License-Identifier: GPL-2.0-only

package figure

// Method is how something was measured: it decides what its unit means.
type Method string

// The ways to measure.
const (
	// ICount: QEMU's TCG with -icount shift=0, instructions, exact.
	ICount Method = "tcg-icount"
	// KVM: a real processor under QEMU with KVM, nanoseconds.
	KVM Method = "kvm"
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
type methodText struct {
	Title, Quantity, Sentence string
	Caption                   string // of a plot
	Repeated                  string // what is done again
}

// Title is how the method is headed.
func (m Method) Title() string { return table.Methods[m].Title }

// Quantity is what the method's costs count.
func (m Method) Quantity() string { return table.Methods[m].Quantity }

// Sentence says what the method's unit means.
func (m Method) Sentence() string { return table.Methods[m].Sentence }

// Caption says under a plot where its figures are from.
func (m Method) Caption() string { return table.Methods[m].Caption }

// Repeated is the unit of repetition.
func (m Method) Repeated() string { return table.Methods[m].Repeated }
