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

// Key says what a figure is of. A member that the operation's name does not
// have is zero.
type Key struct {
	Op    Op          `json:"op"`
	VCPUs int         `json:"vcpus,omitempty"` // of the VM
	IDs   measure.IDs `json:"ids,omitempty"`   // of its vCPUs
	// At is how many vCPUs there are already when the next one is created.
	At int `json:"at,omitempty"`
	// Order is that of lookups, "" for the sequential one.
	Order measure.Order `json:"order,omitempty"`
	// Missing says that no vCPU has the ID.
	Missing bool `json:"missing,omitempty"`
	// Phase is what goes on meanwhile, Slot which calls are meant.
	Phase measure.Phase `json:"phase,omitempty"`
	Slot  Slot          `json:"slot,omitempty"`
	// Lookup is what is looked up by an operation that is of all lookups.
	Lookup measure.Op `json:"lookup,omitempty"`
	// Path is what a guest has KVM do.
	Path measure.Path `json:"path,omitempty"`
	// Object is the name of a struct.
	Object string `json:"object,omitempty"`
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
)

// VM returns a key of an operation on such a VM.
func VM(op Op, vm measure.VM) Key { return Key{Op: op, VCPUs: vm.VCPUs, IDs: vm.IDs} }

// dimension is a member of a Key that the names of operations can have.
type dimension struct {
	mark string // in Operation.Name
	text func(Key) string
	// ok says that the member is set to what there is; it may also be zero if
	// optional.
	ok       func(Key) bool
	optional bool
	clear    func(*Key)
}

// dimensions are all members but the operation.
var dimensions = []dimension{
	{mark: "{vcpus}", text: func(k Key) string { return fmt.Sprintf("vcpus=%d", k.VCPUs) },
		ok: func(k Key) bool { return k.VCPUs > 0 }, clear: func(k *Key) { k.VCPUs = 0 }},
	{mark: "{ids}", text: func(k Key) string { return "ids=" + string(k.IDs) },
		ok: func(k Key) bool { return slices.Contains(measure.AllIDs, k.IDs) }, clear: func(k *Key) { k.IDs = "" }},
	{mark: "{at}", text: func(k Key) string { return strconv.Itoa(k.At) },
		ok: func(k Key) bool { return k.At >= 0 }, clear: func(k *Key) { k.At = 0 }},
	{mark: "{order}", text: func(k Key) string { return optional("/order=", string(k.Order)) }, optional: true,
		ok: func(k Key) bool { return slices.Contains(measure.AllOrders, k.Order) }, clear: func(k *Key) { k.Order = "" }},
	{mark: "{missing}", text: func(k Key) string {
		if k.Missing {
			return "/missing"
		}
		return ""
	}, optional: true, ok: func(k Key) bool { return true }, clear: func(k *Key) { k.Missing = false }},
	{mark: "{phase}", text: func(k Key) string { return string(k.Phase) },
		ok:    func(k Key) bool { return k.Phase == Idle || slices.Contains(measure.Phases, k.Phase) },
		clear: func(k *Key) { k.Phase = "" }},
	{mark: "{slot}", text: func(k Key) string { return string(k.Slot) },
		ok:    func(k Key) bool { return slices.Contains([]Slot{AfterGrowth, AfterCreation, Control}, k.Slot) },
		clear: func(k *Key) { k.Slot = "" }},
	{mark: "{lookup}", text: func(k Key) string { return string(k.Lookup) },
		ok:    func(k Key) bool { return slices.Contains(measure.Ops[1:], k.Lookup) },
		clear: func(k *Key) { k.Lookup = "" }},
	{mark: "{path}", text: func(k Key) string { return string(k.Path) },
		ok:    func(k Key) bool { return slices.Contains(measure.AllPaths, k.Path) },
		clear: func(k *Key) { k.Path = "" }},
	{mark: "{object}", text: func(k Key) string { return k.Object },
		ok: func(k Key) bool { return isWord(k.Object) }, clear: func(k *Key) { k.Object = "" }},
}

func optional(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// isWord says that s can stand as one word in a line of text.
func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return unicode.IsSpace(c) || !unicode.IsPrint(c) || c == '/'
	})
}

// Name is what benchstat and readers of JSON know the figure by:
// operation/key=value/... It is "" if the operation is unknown.
func (k Key) Name() string {
	op, ok := operations[k.Op]
	if !ok {
		return ""
	}

	name := op.Name
	for _, d := range dimensions {
		name = strings.Replace(name, d.mark, d.text(k), 1)
	}
	return name
}

// Check returns an error if there can be no such figure.
func (k Key) Check() error {
	op, ok := operations[k.Op]
	if !ok {
		return fmt.Errorf("unknown operation %q", k.Op)
	}

	for _, d := range dimensions {
		without := k
		d.clear(&without)
		switch used := strings.Contains(op.Name, d.mark); {
		case !used && without != k:
			return fmt.Errorf("%s: not a member of figures of %q: %+v", d.mark, k.Op, k)
		case used && !d.ok(k) && !(d.optional && without == k):
			return fmt.Errorf("%s: expected a known value for figures of %q: %+v", d.mark, k.Op, k)
		}
	}
	return nil
}

// Operation is what the table says of the figure: nothing if the operation is
// unknown.
func (k Key) Operation() *Operation {
	if op, ok := operations[k.Op]; ok {
		return op
	}
	return &Operation{group: &Group{}}
}

// Size is the number that the figure is of, by which rows of a table are
// ordered: of vCPUs, or of those that are there already.
func (k Key) Size() int {
	if k.Operation().sizedByOrdinal() {
		return k.At
	}
	return k.VCPUs
}

// Series is the key without its size: it is that of all figures of one curve.
func (k Key) Series() Key {
	k.VCPUs, k.At = 0, 0
	return k
}
