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
	title, unit, sentence string
	caption               string // of a plot
	repeated              string // what is done again
}

var methodTexts = map[Method]methodText{
	ICount: {
		title: "TCG icount", unit: "instructions", repeated: "boot",
		sentence: "Instructions, counted by QEMU's TCG with -icount. Instruction counts are not time. Exact except for vCPU creation.",
		caption:  "Instructions, counted by QEMU's TCG",
	},
	KVM: {
		title: "KVM", unit: "ns", repeated: "boot",
		sentence: "ns: on a real processor, QEMU with KVM; medians over boots.",
		caption:  "Nanoseconds under QEMU with KVM, medians",
	},
	Running: {
		title: "running kernel", unit: "ns", repeated: "run",
		sentence: "ns: the running kernel; medians over runs of one boot, each of which loads the module again.",
		caption:  "Nanoseconds of the running kernel, medians",
	},
	Native: {
		title: "user space", unit: "ns", repeated: "process",
		sentence: "ns, user space: the lookups alone on this processor, compiled for user space; medians over processes.",
		caption:  "Nanoseconds in user space, medians",
	},
}

// Title is how the method is headed.
func (m Method) Title() string { return methodTexts[m].title }

// Quantity is what the method's costs count.
func (m Method) Quantity() string { return methodTexts[m].unit }

// Sentence says what the method's unit means.
func (m Method) Sentence() string { return methodTexts[m].sentence }

// Caption says under a plot where its figures are from.
func (m Method) Caption() string { return methodTexts[m].caption }

// Repeated is the unit of repetition.
func (m Method) Repeated() string { return methodTexts[m].repeated }
