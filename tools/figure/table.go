// SPDX-License-Identifier: GPL-2.0-only

package figure

import (
	_ "embed"
	"slices"
	"strings"
	"text/template"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/tomlfile"
)

// The operations. Those of lookups have the names of measure.Op.
const (
	Get  Op = "get"
	ByID Op = "by_id"
	Walk Op = "walk"

	Create        Op = "create"         // one KVM_CREATE_VCPU, by ordinal
	CreateAll     Op = "create-all"     // all of a VM
	CreateArch    Op = "create-arch"    // of that, kvm_arch_vcpu_create()
	CreateWaiting Op = "create-waiting" // of that, waiting for grace periods
	CreateRest    Op = "create-rest"    // of that, what remains
	CreateGrowth  Op = "create-growth"  // one of the last over one of the first
	CreateWaits   Op = "create-waits"   // grace periods waited for

	RaceAlone        Op = "race-alone" // lookups by the thread that creates vCPUs
	RaceBeside       Op = "race-beside"
	RaceSlower       Op = "race-slower"
	RaceInsert       Op = "race-insert" // creations
	RaceInsertBeside Op = "race-insert-beside"
	RaceInsertSlower Op = "race-insert-slower"

	Cached     Op = "cached"      // walks and lookups by the state of the caches
	CachedLine Op = "cached-line" // loading a line in that state

	Cycles        Op = "cycles"
	StartCreated  Op = "start-created"
	StartRan      Op = "start-ran"
	StartRestored Op = "start-restored"
	PathCall      Op = "path-call"
	PathRate      Op = "path-rate"

	GapP50        Op = "gap-p50"
	GapP99        Op = "gap-p99"
	GapP999       Op = "gap-p99.9"
	GapMax        Op = "gap-max"
	GapGuestMax   Op = "gap-guest-max"
	GapRan        Op = "gap-ran"
	GapPreempted  Op = "gap-preempted"
	GapBlocked    Op = "gap-blocked"
	GapBlockedMax Op = "gap-blocked-max"

	GrowWaits       Op = "grow-waits"
	GrowBlocked     Op = "grow-blocked"
	GrowContended   Op = "grow-contended"
	GrowDeferred    Op = "grow-deferred"
	GrowKicks       Op = "grow-kicks"
	GrowSlotWaits   Op = "grow-slot-waits"
	GrowSlotOn      Op = "grow-slot-on"
	GrowSlotBlocked Op = "grow-slot-blocked"

	SetupSlotWaits   Op = "setup-slot-waits" // of the first calls of a VM
	SetupSlotBlocked Op = "setup-slot-blocked"
	SetupVCPUWaits   Op = "setup-vcpu-waits"
	SetupVCPUBlocked Op = "setup-vcpu-blocked"

	Memory       Op = "memory"
	MemoryObject Op = "memory-object"
	SizeOf       Op = "sizeof"
	ProbeLoop    Op = "probe-loop" // what the probes around a run of passes cost
)

var (
	//go:embed words.toml
	wordsSource []byte
	//go:embed operations.toml
	operationsSource []byte
)

// table is what both files say.
var table struct {
	Functions map[measure.Op]string
	Paths     map[measure.Path]string
	Phases    map[measure.Phase]string
	States    map[measure.State]string
	Bodies    map[measure.Body]string
	Methods   map[Method]methodText
	Units     map[string]Unit
	Groups    []Group
	Columns   []Column
}

// Groups is the table of operations, in the order in which they are shown, and
// Columns are those of the comparison of designs.
var (
	Groups  []Group
	Columns []Column
)

// operations are those of the table.
var operations = make(map[Op]*Operation)

func init() {
	for _, source := range [][]byte{wordsSource, operationsSource} {
		tomlfile.Embedded("the table of operations", source, &table)
	}
	Groups, Columns = table.Groups, table.Columns
	for i := range Groups {
		g := &Groups[i]
		for j := range g.Operations {
			op := &g.Operations[j]
			op.Group = g
			op.Unit = table.Units[op.In]
			operations[op.Op] = op
		}
	}
}

// Text is what the table says of a key, nil if it says nothing.
type Text func(Key) string

// Of is the text, "" if there is none.
func (t Text) Of(k Key) string {
	if t == nil {
		return ""
	}
	return t(k)
}

// UnmarshalText parses a template over a Key.
func (t *Text) UnmarshalText(text []byte) error {
	of, err := parsed(string(text))
	*t = func(k Key) string { return of(k) }
	return err
}

// Condition is which keys something is said of, nil if the table has none.
type Condition = predicate[Key]

// predicate is of which values something is said.
type predicate[T any] func(T) bool

// Or says whether it holds, or what is meant where nothing is said.
func (p predicate[T]) Or(unsaid bool, v T) bool { return p == nil && unsaid || p != nil && p(v) }

// UnmarshalText parses an expression of a template over a T.
func (p *predicate[T]) UnmarshalText(text []byte) error {
	of, err := parsed("{{" + string(text) + "}}")
	*p = func(v T) bool { return of(v) == "true" }
	return err
}

// parsed is a template of the table as a function. One that cannot be executed is
// a mistake in the table, which the table's test finds: it executes all.
func parsed(text string) (func(any) string, error) {
	t, err := template.New("").Funcs(words).Parse(text)
	return func(of any) string {
		var b strings.Builder
		if err := t.Execute(&b, of); err != nil {
			panic("the table of operations: " + err.Error())
		}
		return b.String()
	}, err
}

// words are what templates of the table call.
var words = template.FuncMap{
	"ids": idsOf, "order": orderOf, "lookedUp": lookedUp, "unlessSparse": unlessSparse, "joined": joined, "raced": raced, "racedOf": racedOf,
	"function": func(k Key) string { return table.Functions[k.Lookup] },
	"state":    func(k Key) string { return table.States[k.State] },
	"cached":   cachedOf,
	"phase":    func(k Key) string { return PhaseText(k.Phase) },
	"path":     func(k Key) string { return joined(table.Paths[k.Path], unlessSparse(k)) },
	"capital":  func(text string) string { return strings.ToUpper(text[:1]) + text[1:] },
}

// idsOf describes how the VM numbers its vCPUs.
func idsOf(k Key) string { return string(k.IDs) + " IDs" }

// orderOf describes in which order vCPUs are looked up, "" for the usual one.
func orderOf(k Key) string {
	return map[measure.Order]string{measure.Same: "the same each time", measure.Random: "random order"}[k.Order]
}

// lookedUp describes IDs and order of lookups.
func lookedUp(k Key) string {
	text := idsOf(k)
	if k.Missing {
		text = "missing, " + text
	}
	return joined(text, orderOf(k))
}

// unlessSparse describes the IDs of VMs whose IDs are sparse unless said
// otherwise.
func unlessSparse(k Key) string {
	if k.IDs == measure.Sparse {
		return ""
	}
	return idsOf(k)
}

// raced describes a lookup beside creations, racedOf without the function.
func raced(k Key) string { return joined(table.Functions[k.Lookup], racedOf(k)) }

func racedOf(k Key) string {
	return map[measure.Op]string{measure.ByID: idsOf(k), measure.Walk: "per vCPU"}[k.Lookup]
}

// cachedOf describes a walk or a lookup in a state of the caches, without the
// function.
func cachedOf(k Key) string {
	what := table.Bodies[k.Body]
	if k.Lookup == measure.ByID {
		what = idsOf(k)
	}
	return joined(what, table.States[k.State])
}

// joined joins what is not empty.
func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), ", ")
}

// Usual says that a figure is of lookups in the usual order, of IDs that are
// not shuffled: those are what plots show.
func (k Key) Usual() bool { return k.Order == "" && k.IDs != measure.Shuffled }

// IsIndex says that an ID is looked up that is the vCPU's index.
func (k Key) IsIndex() bool { return k.IDs == measure.Dense && !k.Missing }

// PhaseText says what goes on in a phase.
func PhaseText(p measure.Phase) string { return table.Phases[p] }
