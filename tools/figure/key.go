// SPDX-License-Identifier: GPL-2.0-only

// Package figure says which figures there are. A Key tells one from another
// from the sample to the printer; the table of operations says what each
// stands for. Names and labels are made from keys for those who read them,
// and read nowhere.
package figure

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"vcpulab/ebpf/measure"
)

// Key says what a figure is of. A member that the operation's name does not have is zero.
type Key struct {
	Op      Op            `json:"op"`
	VCPUs   int           `json:"vcpus,omitempty"`   // of the VM
	IDs     measure.IDs   `json:"ids,omitempty"`     // of its vCPUs
	At      int           `json:"at,omitempty"`      // how many vCPUs there are already when the next one is created
	Order   measure.Order `json:"order,omitempty"`   // that of lookups, "" for the sequential one
	Missing bool          `json:"missing,omitempty"` // no vCPU has the ID
	Phase   measure.Phase `json:"phase,omitempty"`   // what goes on meanwhile
	Slot    Slot          `json:"slot,omitempty"`    // which calls are meant
	Lookup  measure.Op    `json:"lookup,omitempty"`  // what is looked up by an operation that is of all lookups
	State   measure.State `json:"state,omitempty"`   // of the caches before a walk or a lookup
	Body    measure.Body  `json:"body,omitempty"`    // what a walk does with each vCPU
	Path    measure.Path  `json:"path,omitempty"`    // what a guest has KVM do
	Object  string        `json:"object,omitempty"`  // the name of a struct
}

// Idle is the phase of a VM that grows while no vCPU runs.
const Idle measure.Phase = "idle"

// Slot is which changes of memory slots a figure is of.
type Slot string

// The changes of memory slots while a VM grows.
const (
	AfterGrowth   Slot = "after-growth"   // after the creation for which the table grew
	AfterCreation Slot = "after-creation" // after any other creation
	Control       Slot = "control"        // after a change of memory slots

	// Of the first calls of a VM: after its devices, or without any.
	AfterDevices   Slot = "after-devices"
	WithoutDevices Slot = "without-devices"
)

var slots = []Slot{AfterGrowth, AfterCreation, Control, AfterDevices, WithoutDevices}

// VM returns a key of an operation on such a VM.
func VM(op Op, vm measure.VM) Key { return Key{Op: op, VCPUs: vm.VCPUs, IDs: vm.IDs} }

// after is a text with a prefix, "" for a member that is not set.
func after[T ~string](prefix string, v T) string {
	if v == "" {
		return ""
	}
	return prefix + string(v)
}

// IsWord says that s can stand as one word in a line of text.
func IsWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return unicode.IsSpace(c) || !unicode.IsPrint(c) || c == '/'
	})
}

type member struct {
	mark, text string // what stands for it in Operation.Name, and what it is in a figure's name
	set, known bool   // to something, and to what there is
}

// members are those of the key besides the operation.
func (k Key) members() []member {
	return []member{
		{"{vcpus}", "vcpus=" + strconv.Itoa(k.VCPUs), k.VCPUs != 0, k.VCPUs > 0},
		{"{ids}", after("ids=", k.IDs), k.IDs != "", slices.Contains(measure.AllIDs, k.IDs)},
		{"{at}", strconv.Itoa(k.At), k.At != 0, k.At >= 0},
		{"{order}", after("/order=", k.Order), k.Order != "", k.Order == "" || slices.Contains(measure.AllOrders, k.Order)},
		{"{missing}", map[bool]string{true: "/missing"}[k.Missing], k.Missing, true},
		{"{phase}", string(k.Phase), k.Phase != "", k.Phase == Idle || slices.Contains(measure.Phases, k.Phase) || slices.Contains(measure.Growths, k.Phase)},
		{"{slot}", string(k.Slot), k.Slot != "", slices.Contains(slots, k.Slot)},
		{"{lookup}", string(k.Lookup), k.Lookup != "", slices.Contains(measure.Ops[1:], k.Lookup)},
		{"{state}", string(k.State), k.State != "", slices.Contains(measure.States, k.State)},
		{"{body}", after("/body=", k.Body), k.Body != "", k.Body == "" || slices.Contains(measure.Bodies, k.Body)},
		{"{path}", string(k.Path), k.Path != "", slices.Contains(measure.AllPaths, k.Path)},
		{"{object}", k.Object, k.Object != "", IsWord(k.Object)},
	}
}

// Name is what benchstat and readers of JSON know the figure by:
// operation/key=value/... It is "" if the operation is unknown.
func (k Key) Name() string {
	name := k.Operation().Name
	for _, m := range k.members() {
		name = strings.Replace(name, m.mark, m.text, 1)
	}
	return name
}

// Check returns an error if there can be no such figure.
func (k Key) Check() error {
	op, ok := operations[k.Op]
	if !ok {
		return fmt.Errorf("unknown operation %q", k.Op)
	}
	for _, m := range k.members() {
		switch used := strings.Contains(op.Name, m.mark); {
		case !used && m.set:
			return fmt.Errorf("%s: not a member of figures of %q, found %q", m.mark, k.Op, m.text)
		case used && !m.known:
			return fmt.Errorf("%s: expected a known value for figures of %q, found %q", m.mark, k.Op, m.text)
		}
	}
	return nil
}

// Operation is what the table says of the figure: nothing if the operation is unknown.
func (k Key) Operation() *Operation {
	if op, ok := operations[k.Op]; ok {
		return op
	}
	return &Operation{Group: &Group{}}
}

// Size is the number that the figure is of, by which rows of a table are
// ordered: of vCPUs, or of those that are there already.
func (k Key) Size() int {
	if strings.Contains(k.Operation().Name, "{at}") {
		return k.At
	}
	return k.VCPUs
}

// Series is the key without its size: it is that of all figures of one curve.
func (k Key) Series() Key {
	k.VCPUs, k.At = 0, 0
	return k
}
