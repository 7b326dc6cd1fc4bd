// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"strings"

	"vcpulab/ebpf/measure"
)

// opRace is the operation of figures of lookups in a VM that grows.
const opRace = "race"

// race says that the figure is of that.
func (s shape) race() bool { return s.op == opRace }

// placeRace is place for them.
func (s shape) placeRace() (kind kind, label string, size int, ok bool) {
	of := map[measure.Op]string{
		measure.Get:  "kvm_get_vcpu()",
		measure.ByID: "kvm_get_vcpu_by_id(), " + s.numbered(),
		measure.Walk: "kvm_for_each_vcpu(), per vCPU",
	}[measure.Op(s.path)]
	if of == "" {
		return kindOther, "", 0, true
	}
	switch s.part {
	case "alone":
		return kindRead, of + ", alone", s.vcpus, true
	case "beside":
		return kindRead, of + ", beside", s.vcpus, true
	case "slower":
		return kindSlower, of, s.vcpus, true
	case "insert":
		// A loop that looks nothing up is the same beside all of them.
		return kindInsert, "nobody looks vCPUs up", s.vcpus, measure.Op(s.path) == measure.Get
	case "insert-beside":
		return kindInsert, "beside " + of, s.vcpus, true
	case "insert-slower":
		return kindSlower, of + creation, s.vcpus, true
	}
	return kindOther, "", 0, true
}

// creation ends the labels of ratios that are of creations.
const creation = ": creation"

// aboutRace says what the kinds of races are.
func (k kind) aboutRace() (title, per, sizes string) {
	switch k {
	case kindRead:
		return "Lookups of the newest vCPUs while a VM grows, alone and beside who creates them", "a lookup", "vCPUs"
	case kindInsert:
		return "Putting a vCPU where it is looked up while a VM grows", "a vCPU", "vCPUs"
	}
	return "Lookups beside creations, and creations beside lookups, over alone", "1 is undisturbed", "vCPUs"
}

// raceHeadline names a line of the page's first table.
func (g group) raceHeadline(r row) (code, what string) {
	if of, ok := strings.CutSuffix(r.label, creation); ok {
		return "KVM_CREATE_VCPU", "the container's part, beside " + of + ", over alone"
	}
	code, what, _ = strings.Cut(r.label, ", ")
	if what != "" {
		what += ", "
	}
	return code, what + "beside creations, over alone"
}

// inRaceAnswers says that the row is a line of the page's first table: of creations
// one is enough, what is looked up meanwhile hardly matters to them.
func (g group) inRaceAnswers(r row) bool {
	of, inserts := strings.CutSuffix(r.label, creation)
	return g.kind == kindSlower && (!inserts || of == "kvm_get_vcpu()")
}

// raceExplanations say what the figures of races mean.
func (s *sheet) raceExplanations() []string {
	for _, b := range s.r.Boots {
		if len(b.Races) == 0 {
			continue
		}
		text := "While a VM grows from one vCPU on, a thread on a processor of its own looks up the vCPUs that came last, 64 at most, and verifies each one." +
			" Whoever creates them waits after each until the reader has made two runs of lookups: every size counts as much." +
			" Alone is one thread that does both in turn; creations alone are beside a loop that looks nothing up." +
			" Of a creation only what puts the vCPU into the containers is in it."
		if b.Races[0].Siblings {
			text += " The two processors are threads of one core and share its caches: between cores it costs more."
		}
		return []string{text}
	}
	return nil
}
