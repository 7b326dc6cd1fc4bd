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
	// State is that of the caches before a walk or a lookup, and Body what a walk
	// does with each vCPU.
	State measure.State `json:"state,omitempty"`
	Body  measure.Body  `json:"body,omitempty"`
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

	// Of the first calls of a VM: after its devices, or without any.
	AfterDevices   Slot = "after-devices"
	WithoutDevices Slot = "without-devices"
)

// VM returns a key of an operation on such a VM.
func VM(op Op, vm measure.VM) Key { return Key{Op: op, VCPUs: vm.VCPUs, IDs: vm.IDs} }

// dimension is a member of a Key that the names of operations can have.
type dimension struct {
	mark  string // in Operation.Name
	text  func(Key) string
	known func(Key) bool // the member is set to something that there is
	clear func(*Key)
}

// dim is the dimension of a member.
func dim[T comparable](mark string, member func(*Key) *T, text func(T) string, known func(T) bool) dimension {
	return dimension{
		mark: mark,
		text: func(k Key) string { return text(*member(&k)) }, known: func(k Key) bool { return known(*member(&k)) },
		clear: func(k *Key) { *member(k) = *new(T) },
	}
}

// one is whether a value is one of those that there are.
func one[T comparable](of ...T) func(T) bool {
	return func(v T) bool { return slices.Contains(of, v) }
}

// itself is the text of a member that is one.
func itself[T ~string](v T) string { return string(v) }

// unlessZero is a text with a prefix, "" for a member that is not set.
func unlessZero[T ~string](prefix string) func(T) string {
	return func(v T) string {
		if v == "" {
			return ""
		}
		return prefix + string(v)
	}
}

// dimensions are all members but the operation.
var dimensions = []dimension{
	dim("{vcpus}", func(k *Key) *int { return &k.VCPUs }, func(n int) string { return fmt.Sprintf("vcpus=%d", n) }, func(n int) bool { return n > 0 }),
	dim("{ids}", func(k *Key) *measure.IDs { return &k.IDs }, unlessZero[measure.IDs]("ids="), one(measure.AllIDs...)),
	dim("{at}", func(k *Key) *int { return &k.At }, strconv.Itoa, func(n int) bool { return n >= 0 }),
	dim("{order}", func(k *Key) *measure.Order { return &k.Order }, unlessZero[measure.Order]("/order="), one(append([]measure.Order{""}, measure.AllOrders...)...)),
	dim("{missing}", func(k *Key) *bool { return &k.Missing }, func(missing bool) string {
		if missing {
			return "/missing"
		}
		return ""
	}, one(false, true)),
	dim("{phase}", func(k *Key) *measure.Phase { return &k.Phase }, itself, one(append([]measure.Phase{Idle}, measure.Phases...)...)),
	dim("{slot}", func(k *Key) *Slot { return &k.Slot }, itself, one(AfterGrowth, AfterCreation, Control, AfterDevices, WithoutDevices)),
	dim("{lookup}", func(k *Key) *measure.Op { return &k.Lookup }, itself, one(measure.Ops[1:]...)),
	dim("{state}", func(k *Key) *measure.State { return &k.State }, itself, one(measure.States...)),
	dim("{body}", func(k *Key) *measure.Body { return &k.Body }, unlessZero[measure.Body]("/body="), one(append([]measure.Body{""}, measure.Bodies...)...)),
	dim("{path}", func(k *Key) *measure.Path { return &k.Path }, itself, one(measure.AllPaths...)),
	dim("{object}", func(k *Key) *string { return &k.Object }, itself, IsWord),
}

// IsWord says that s can stand as one word in a line of text.
func IsWord(s string) bool {
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
		case used && !d.known(k):
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
	return &Operation{Group: &Group{}}
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
