// SPDX-License-Identifier: GPL-2.0-only

package figure

import (
	_ "embed"
	"fmt"
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

var table struct {
	Words   map[string]map[string]string // by what they are of, and by the member of a key
	Phrases map[string]string
	Methods map[Method]methodText
	Units   map[string]Unit

	Properties []Property
	Groups     []Group
	Columns    []Column
}

// Groups is the table of operations, in the order in which they are shown, Columns are those
// of the comparison of designs, and Properties what benchstat has to know.
var (
	Groups     []Group
	Columns    []Column
	Properties []Property
)

var operations = make(map[Op]*Operation)

func init() {
	tomlfile.Embedded("the table's words", wordsSource, &table)
	addPhrases()
	tomlfile.Embedded("the table of operations", operationsSource, &table)
	Groups, Columns, Properties = table.Groups, table.Columns, table.Properties
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

// words are what templates of the table call: these, and the phrases.
var words = template.FuncMap{
	"word":    func(kind string, member any) string { return table.Words[kind][fmt.Sprint(member)] },
	"capital": func(text string) string { return strings.ToUpper(text[:1]) + text[1:] },
	"joined": func(texts ...string) string {
		return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), ", ")
	},
}

// addPhrases adds the phrases to words. A phrase may call others, so that all are
// known before the first one is parsed.
func addPhrases() {
	phrases := make(map[string]func(any) string)
	for name := range table.Phrases {
		words[name] = func(k Key) string { return phrases[name](k) }
	}
	for name, text := range table.Phrases {
		var err error
		if phrases[name], err = parsed(text); err != nil {
			panic(fmt.Sprintf("the table's words: %s: %v", name, err))
		}
	}
}

// Usual says that a figure is of lookups in the usual order, of IDs that are
// not shuffled: those are what plots show.
func (k Key) Usual() bool { return k.Order == "" && k.IDs != measure.Shuffled }

// IsIndex says that an ID is looked up that is the vCPU's index.
func (k Key) IsIndex() bool { return k.IDs == measure.Dense && !k.Missing }

// PhaseText says what goes on in a phase.
func PhaseText(p measure.Phase) string { return table.Words["phases"][string(p)] }
