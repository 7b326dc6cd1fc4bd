// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"strconv"
	"strings"

	"vcpulab/ebpf/measure"
)

// shape is a figure's name, taken apart: operation/key=value/.../flag.
type shape struct {
	op      string // of measure.Ops, or create, memory, sizeof
	vcpus   int    // of the VM, 0 if the figure is of none
	ids     measure.IDs
	order   measure.Order // "" for the sequential one
	missing bool          // no vCPU has the ID
	cycles  bool          // of the processor, not what is the arm's unit
	at      int           // vCPUs that are there already; -1 if it does not matter
	part    string        // of create: all, one of parts, growth, waits
	phase   string        // of grow and gaps: what went on
	slot    string        // of grow: which calls
	path    string        // of path: what KVM is asked for; of race: which lookup
	object  string        // of memory and sizeof: the struct's name
	known   bool          // nothing of the name is left over
}

func parseShape(name string) shape {
	parts := strings.Split(name, "/")
	s := shape{op: parts[0], at: -1, known: true}
	number := func(v string) int {
		n, err := strconv.Atoi(v)
		s.known = s.known && err == nil && n >= 0
		return n
	}
	for _, p := range parts[1:] {
		key, v, _ := strings.Cut(p, "=")
		switch key {
		case "vcpus":
			s.vcpus = number(v)
		case "ids":
			s.ids = measure.IDs(v)
		case "order":
			s.order = measure.Order(v)
		case "at":
			s.at = number(v)
		case "missing":
			s.missing = true
		case "cycles":
			s.cycles = true
		case "all", "waits", "arch", "waiting", "rest", "growth", "loop":
			s.part = key
		case "while", "phase":
			s.phase = v
		case "slot":
			s.slot = v
		case "struct":
			s.object = v
		case "do", "of":
			s.path = v
		default:
			s.part = key
			s.known = s.known && (s.stall() || s.usage() || s.race()) && v == ""
		}
	}
	return s
}

// stall says that the figure is about who waits while a VM grows.
func (s shape) stall() bool { return s.op == opGrow || s.op == opGaps }

// numbered describes how the VM numbers its vCPUs.
func (s shape) numbered() string {
	if s.ids == "" {
		return ""
	}
	return string(s.ids) + " IDs"
}

// ordered describes in which order vCPUs are looked up, "" for the usual one.
func (s shape) ordered() string {
	switch s.order {
	case "", measure.Sequential:
		return ""
	case measure.Same:
		return "the same each time"
	case measure.Random:
		return "random order"
	}
	return string(s.order) + " order"
}

// looked describes IDs and order of lookups.
func (s shape) looked() string {
	if s.ordered() == "" {
		return s.numbered()
	}
	return s.numbered() + ", " + s.ordered()
}

// size is the number that a figure is of.
func (s shape) size() int {
	if s.at >= 0 {
		return s.at
	}
	return s.vcpus
}

// place says where a figure stands in the sheet: which group, which label in
// it, and which number it is of. ok is false for figures that repeat what
// another one says: an ordinal of a VM that is not the largest.
func (s shape) place(largest int) (kind kind, label string, size int, ok bool) {
	if !s.known {
		return kindOther, "", 0, true
	}
	switch {
	case s.stall():
		return s.placeStall()
	case s.usage():
		return s.placeUsage()
	case s.race():
		return s.placeRace()
	case s.cycles:
		return s.placeCycles()
	case s.op == string(measure.Get):
		return kindGet, s.ordered(), s.vcpus, true
	case s.op == string(measure.ByID) && s.missing:
		return kindByID, missing + s.numbered(), s.vcpus, true
	case s.op == string(measure.ByID):
		return kindByID, s.looked(), s.vcpus, true
	case s.op == string(measure.Walk):
		return kindWalk, "", s.vcpus, true
	case s.op == "create" && s.at >= 0:
		return kindCreate, s.numbered(), s.at, s.vcpus == largest
	case s.op == "create" && s.part == "all":
		return kindBuild, s.numbered(), s.vcpus, true
	case s.op == "create" && parts[s.part] != "":
		return kindBuild, s.numbered() + parts[s.part], s.vcpus, true
	case s.op == "create" && s.part == "growth":
		return kindGrowth, s.numbered(), s.vcpus, true
	case s.op == "create" && s.part == "waits":
		return kindWaits, s.numbered(), s.vcpus, true
	case s.op == memory && s.object == "":
		return kindMemory, s.numbered(), s.vcpus, true
	case s.op == memory:
		return kindObject, "struct " + s.object, 0, true
	case s.op == "probe":
		return kindOther, "", 0, false // said in words
	case s.op == "sizeof":
		return kindSizeof, "struct " + s.object, 0, true
	}
	return kindOther, "", 0, true
}

// placeCycles is place for lookups of which the processor's cycles were counted.
func (s shape) placeCycles() (kind kind, label string, size int, ok bool) {
	name := map[string]string{
		string(measure.Get):  "kvm_get_vcpu()",
		string(measure.ByID): "kvm_get_vcpu_by_id()",
		string(measure.Walk): "kvm_for_each_vcpu()",
	}[s.op]
	if name == "" {
		return kindOther, "", 0, true
	}
	of := s.looked()
	switch {
	case s.op == string(measure.Get):
		of = s.ordered()
	case s.op == string(measure.Walk):
		of = ""
	case s.missing:
		of = missing + of
	}
	if of != "" {
		name += ", " + of
	}
	return kindCycles, name, s.vcpus, true
}

// parts are those of all creations of a VM, and what their labels end in.
var parts = map[string]string{
	"arch":    ", arch",
	"waiting": ", waiting",
	"rest":    ", rest",
}

// missing begins the label of lookups that find nothing.
const missing = "missing, "

// memory is the operation of figures that are what VMs take.
const memory = "memory"

// kind is a group of the sheet.
type kind int

const (
	kindGet kind = iota
	kindByID
	kindWalk
	kindCreate
	kindBuild
	kindRead
	kindInsert
	kindCycles
	kindStart
	kindPath
	kindRate
	kindGap
	kindLongest
	kindGrowth
	kindSlower
	kindWaits
	kindGrowWaits
	kindSlots
	kindStalled
	kindMemory
	kindObject
	kindSizeof
	kindOther
	numKinds
)

// costs says that a kind's figures are costs, in the unit of their arm.
func (k kind) costs() bool { return k < kindGrowth && k != kindRate && k != kindCycles }

// about says what a kind's figures are: the title, what one unit of it is
// for, and what the size is a number of.
func (k kind) about() (title, per, sizes string) {
	switch k {
	case kindGet:
		return "kvm_get_vcpu()", "a call", "vCPUs"
	case kindByID:
		return "kvm_get_vcpu_by_id()", "a call", "vCPUs"
	case kindWalk:
		return "kvm_for_each_vcpu()", "a vCPU", "vCPUs"
	case kindCreate:
		return "KVM_CREATE_VCPU, by vCPUs there already", "an ioctl", "there"
	case kindBuild:
		return "KVM_CREATE_VCPU, all of a VM", "a VM", "vCPUs"
	case kindGrowth:
		return "KVM_CREATE_VCPU, one of the last over one of the first", "1 is linear", "vCPUs"
	case kindWaits:
		return "KVM_CREATE_VCPU, grace periods waited for", "all of a VM", "vCPUs"
	case kindGap, kindLongest, kindGrowWaits, kindSlots, kindStalled:
		return k.aboutStalls()
	case kindCycles:
		return "Cycles of the processor", "a lookup, or a vCPU that a walk visits", "vCPUs"
	case kindRead, kindInsert, kindSlower:
		return k.aboutRace()
	case kindStart, kindPath, kindRate:
		return k.aboutUsage()
	case kindMemory:
		return "Memory of what holds a VM's vCPUs", "bytes a VM", "vCPUs"
	case kindObject:
		return "Memory of one object", "bytes", ""
	case kindSizeof:
		return "sizeof", "bytes", ""
	}
	return "Other", "", ""
}
