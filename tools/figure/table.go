// SPDX-License-Identifier: GPL-2.0-only

package figure

import "vcpulab/ebpf/measure"

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

	Cycles       Op = "cycles"
	StartCreated Op = "start-created"
	StartRan     Op = "start-ran"
	PathCall     Op = "path-call"
	PathRate     Op = "path-rate"

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
	GrowSlotWaits   Op = "grow-slot-waits"
	GrowSlotOn      Op = "grow-slot-on"
	GrowSlotBlocked Op = "grow-slot-blocked"

	Memory       Op = "memory"
	MemoryObject Op = "memory-object"
	SizeOf       Op = "sizeof"
	ProbeLoop    Op = "probe-loop" // what the probes around a run of passes cost
)

// By which part creations and starts of VMs may differ for no reason of the
// kernel's, see Operation.Apart: 4.3 % and 7.6 % were seen.
const (
	apartRuns   = 0.06
	apartStarts = 0.1
)

var (
	lookupSizes = []int{1, 64, 1024}
	// The first vCPU of a VM pays for code that is patched once.
	buildSizes  = []int{64, 512, 1024}
	guestSizes  = []int{64, 512}
	memorySizes = []int{1, 64, 1024, 4096}
)

// functions are what lookups are called in C.
var functions = map[measure.Op]string{
	measure.Get: "kvm_get_vcpu()", measure.ByID: "kvm_get_vcpu_by_id()", measure.Walk: "kvm_for_each_vcpu()",
}

// Groups is the table of operations: all that there is to know of each, in the
// order in which they are shown.
var Groups = []Group{
	{
		Title: functions[measure.Get], Code: true, Per: "a call", Sizes: "vCPUs", Inline: true,
		Operations: []Operation{{
			Op: Get, Name: "get/{vcpus}/{ids}{order}", Unit: perLookup, Label: orderOf,
			Goal: goalOfGet, ByIndex: everyKey,
			Summary: &Summary{Code: constant(functions[measure.Get]), What: orderOf, First: Key.Usual},
			Lines:   []Line{{"kvm_get_vcpu()", Key{IDs: measure.Dense}, lookupSizes, FewSizes, "kvm_get_vcpu() takes"}},
			Plot:    &Plot{Title: constant(functions[measure.Get]), Caption: constant("Lookup of indices"), Of: Key.Usual},
		}},
	}, {
		Title: functions[measure.ByID], Code: true, Per: "a call", Sizes: "vCPUs", Inline: true,
		Operations: []Operation{{
			Op: ByID, Name: "by_id/{vcpus}/{ids}{order}{missing}", Unit: perLookup, Label: lookedUp,
			Goal: goalOfByID, ByIndex: isIndex,
			Summary: &Summary{Code: constant(functions[measure.ByID]), What: lookedUp, First: firstByID},
			Lines: []Line{
				{"kvm_get_vcpu_by_id(), ID is index", Key{IDs: measure.Dense}, lookupSizes, LargestSize, ""},
				{"kvm_get_vcpu_by_id(), other ID", Key{IDs: measure.Sparse}, lookupSizes, FewSizes, "kvm_get_vcpu_by_id() with IDs that aren't indices"},
				{"kvm_get_vcpu_by_id(), no match", Key{IDs: measure.Dense, Missing: true}, lookupSizes, LargestSize, ""},
				{" - if IDs aren't indices", Key{IDs: measure.Sparse, Missing: true}, lookupSizes, Never, ""},
			},
			Plot: &Plot{Title: byIDTitle, Caption: byIDCaption, Of: Key.Usual},
		}},
	}, {
		Title: functions[measure.Walk], Code: true, Per: "a vCPU", Sizes: "vCPUs", Inline: true,
		Operations: []Operation{{
			Op: Walk, Name: "walk/{vcpus}/{ids}", Unit: perLookup, Goal: atMost(goalWalk),
			Summary: &Summary{Code: constant(functions[measure.Walk]), What: constant("per vCPU"), First: everyKey},
			Lines:   []Line{{"kvm_for_each_vcpu(), per vCPU", Key{IDs: measure.Dense}, lookupSizes, FewSizes, "kvm_for_each_vcpu(), per vCPU,"}},
			Plot: &Plot{Title: constant("kvm_for_each_vcpu(), per vCPU"),
				Caption: constant("Cost of a walk over all vCPUs, divided by their number,")},
		}},
	}, {
		Title: "KVM_CREATE_VCPU, by vCPUs there already", Per: "an ioctl", Sizes: "there",
		Operations: []Operation{{
			Op: Create, Name: "create/{vcpus}/{ids}/at={at}", Unit: perIoctl, Label: idsOf,
			Compare: Noise, ApartRuns: apartRuns, Goal: atMost(goalCreate),
			Summary: &Summary{Code: createVCPU, What: constant("one ioctl"), Together: true},
		}},
	}, {
		Title: "KVM_CREATE_VCPU, all of a VM", Per: "a VM", Sizes: "vCPUs",
		Operations: []Operation{
			{
				Op: CreateAll, Name: "create/{vcpus}/{ids}/all", Unit: perVM, Label: idsOf,
				Compare: Noise, ApartRuns: apartRuns, Goal: goalOfBuild,
				Summary: &Summary{Code: createVCPU, What: prefixed("all of a VM, ", idsOf), Largest: true, First: isDense},
				Lines: []Line{
					{"KVM_CREATE_VCPU, all of a VM", Key{IDs: measure.Dense}, buildSizes, LargestSize, "creating the vCPUs of a VM of %d"},
					{" - if IDs aren't indices", Key{IDs: measure.Sparse}, buildSizes, Never, ""},
				},
			},
			{
				Op: CreateArch, Name: "create/{vcpus}/{ids}/arch", Unit: perVM, Label: suffixed(idsOf, ", arch"),
				Compare: Noise, ApartRuns: apartRuns,
			},
			{
				Op: CreateWaiting, Name: "create/{vcpus}/{ids}/waiting", Unit: perVM, Label: suffixed(idsOf, ", waiting"),
				Compare: Noise, ApartRuns: apartRuns,
			},
			{
				Op: CreateRest, Name: "create/{vcpus}/{ids}/rest", Unit: perVM, Label: suffixed(idsOf, ", rest"),
				Compare: Noise, ApartRuns: apartRuns,
			},
		},
	}, {
		Title: "Lookups of the newest vCPUs while a VM grows, alone and beside who creates them", Per: "a lookup", Sizes: "vCPUs",
		Operations: []Operation{
			{Op: RaceAlone, Name: "race/{vcpus}/{ids}/of={lookup}/alone", Unit: perRead, Label: suffixed(raced, ", alone"), Compare: Noise},
			{Op: RaceBeside, Name: "race/{vcpus}/{ids}/of={lookup}/beside", Unit: perRead, Label: suffixed(raced, ", beside"), Compare: Noise},
		},
	}, {
		Title: "Putting a vCPU where it is looked up while a VM grows", Per: "a vCPU", Sizes: "vCPUs",
		Operations: []Operation{
			{
				// A loop that looks nothing up is the same beside all lookups.
				Op: RaceInsert, Name: "race/{vcpus}/{ids}/of={lookup}/insert", Unit: perInsert, Label: constant("without lookups"),
				Compare: Noise, Hidden: func(k Key) bool { return k.Lookup != measure.Get },
			},
			{Op: RaceInsertBeside, Name: "race/{vcpus}/{ids}/of={lookup}/insert-beside", Unit: perInsert, Label: prefixed("beside ", raced), Compare: Noise},
		},
	}, {
		Title: "Cycles of the processor", Per: "a lookup, or a vCPU that a walk visits", Sizes: "vCPUs",
		Operations: []Operation{
			{Op: Cycles, Name: "{lookup}/{vcpus}/{ids}{order}{missing}/cycles", Unit: cycles, Label: cyclesOf, Compare: Noise},
		},
	}, {
		Title: "Start of a VM, from KVM_CREATE_VM on", Per: "a VM", Sizes: "vCPUs",
		Operations: []Operation{
			{
				Op: StartCreated, Name: "start/{vcpus}/{ids}/created", Unit: perVM, Label: started("all vCPUs created"),
				Compare: Noise, Apart: apartStarts, ApartRuns: apartStarts,
				Summary: &Summary{What: prefixed("Start of a VM until ", started("all vCPUs created"))},
			},
			{
				Op: StartRan, Name: "start/{vcpus}/{ids}/ran", Unit: perVM, Label: started("each has run once"),
				Compare: Noise, Apart: apartStarts, ApartRuns: apartStarts,
				Summary: &Summary{What: prefixed("Start of a VM until ", started("each has run once")), First: everyKey},
				Lines:   []Line{{"Start of a VM, until each has run", Key{IDs: measure.Sparse}, guestSizes, LargestSize, ""}},
			},
		},
	}, {
		Title: "Functions that look vCPUs up, in a running guest", Per: "a call", Sizes: "vCPUs", Short: "KVM's function", Inline: true,
		Operations: []Operation{{
			Op: PathCall, Name: "path/{vcpus}/{ids}/do={path}/call", Unit: perLookup, Label: pathOf,
			Summary: &Summary{What: suffixed(pathOf, ", one call in KVM"), First: firstPath},
			Lines: []Line{
				{"IPI to all others", Key{IDs: measure.Sparse, Path: measure.PathIPI}, guestSizes, LargestSize, ""},
				{"Hyper-V IPI to one", Key{IDs: measure.Sparse, Path: measure.PathHyperVIPI}, guestSizes, Never, ""},
				{"Request to all vCPUs", Key{IDs: measure.Sparse, Path: measure.PathRequest}, guestSizes, Never, ""},
				{"Xen event from the guest", Key{IDs: measure.Sparse, Path: measure.PathXenSend}, guestSizes, Never, ""},
			},
			Plot: &Plot{Title: pathTitle, Caption: constant("A call of KVM's function for it,")},
		}},
	}, {
		Title: "How often they are called there", PerOn: ratePer, Sizes: "vCPUs", Short: "How often, in a second or in 10^9 instructions",
		Operations: []Operation{{
			Op: PathRate, Name: "path/{vcpus}/{ids}/do={path}/rate", Unit: rate, Label: pathOf, Compare: Rate, ApartRuns: apartRuns,
		}},
	}, {
		Title: "From a running vCPU's exit to its next entry, 99.9 % at most", Per: "without a task switch", Sizes: "vCPUs",
		Operations: []Operation{{
			Op: GapP999, Name: "gaps/{vcpus}/phase={phase}/p99.9", Unit: perGap, Label: phaseOf, Compare: Noise, Chancy: true,
			Summary: &Summary{What: prefixed("Exit to entry of a running vCPU, 99.9 % at most, ", phaseOf), Of: beforeAndDuring},
		}},
	}, {
		Title: "From a running vCPU's exit to its next entry, the longest", Per: "without a task switch", Sizes: "vCPUs",
		Operations: []Operation{{
			Op: GapMax, Name: "gaps/{vcpus}/phase={phase}/max", Unit: perGap, Label: phaseOf, Compare: Chance, Chancy: true,
			Summary: &Summary{What: prefixed("Exit to entry of a running vCPU, longest, ", phaseOf), Of: beforeAndDuring},
		}},
	}, {
		Title: "KVM_CREATE_VCPU, one of the last over one of the first", Per: "1 is linear", Sizes: "vCPUs",
		Operations: []Operation{{
			Op: CreateGrowth, Name: "create/{vcpus}/{ids}/growth", Unit: steepness, Label: idsOf,
			Compare: Noise, ApartRuns: apartRuns, Goal: always(goalGrowth),
			Summary: &Summary{Code: createVCPU, What: prefixed("one of the last over one of the first, ", idsOf), Largest: true},
		}},
	}, {
		Title: "Lookups beside creations, and creations beside lookups, over alone", Per: "1 is undisturbed", Sizes: "vCPUs",
		Operations: []Operation{
			{
				Op: RaceSlower, Name: "race/{vcpus}/{ids}/of={lookup}/slower", Unit: slowdown, Label: raced, Compare: Noise,
				Summary: &Summary{Code: lookupOf, What: suffixed(racedRest, "beside creations, over alone")},
			},
			{
				Op: RaceInsertSlower, Name: "race/{vcpus}/{ids}/of={lookup}/insert-slower", Unit: slowdown, Label: suffixed(raced, ": creation"),
				Compare: Noise,
				// One is enough: what is looked up meanwhile hardly matters.
				Summary: &Summary{
					Code: createVCPU, What: func(k Key) string { return "the container's part, beside " + raced(k) + ", over alone" },
					Of: func(k Key) bool { return k.Lookup == measure.Get },
				},
			},
		},
	}, {
		Title: "KVM_CREATE_VCPU, grace periods waited for", Per: "all of a VM", Sizes: "vCPUs",
		Operations: []Operation{{
			Op: CreateWaits, Name: "create/{vcpus}/{ids}/waits", Unit: waits, Label: idsOf, Goal: always(0),
			Summary: &Summary{Code: createVCPU, What: constant("grace periods waited for"), Together: true, First: everyKey},
		}},
	}, {
		Title: "Grace periods waited for while a VM grows", Sizes: "vCPUs",
		Operations: []Operation{
			{
				Op: GrowWaits, Name: "grow/{vcpus}/while={phase}/create-waits", Unit: waits, Label: whileRunning(constant("all KVM_CREATE_VCPU")),
				Hidden: notInTables, Chancy: true, Goal: always(0),
				Summary: &Summary{Code: createVCPU, What: constant("grace periods waited for while a VM grows"), Of: isIdle},
			},
			{
				Op: GrowSlotWaits, Name: "grow/{vcpus}/while={phase}/slot={slot}/slot-waits", Unit: waits, Label: whileRunning(slotOf),
				Hidden: notInTables, Chancy: true, Goal: goalOfSlotWaits,
				Summary: &Summary{
					Code: constant("KVM_SET_USER_MEMORY_REGION"), What: constant("after that, grace periods waited for"),
					Of: func(k Key) bool { return isIdle(k) && k.Slot == AfterGrowth },
				},
			},
		},
	}, {
		Title: "Time that a memslot call is blocked while a VM grows", Per: "ns of the guest's clock, median", Sizes: "vCPUs",
		Operations: []Operation{{
			// If a vCPU runs on the only processor it is the vCPU that is
			// waited for, not KVM.
			Op: GrowSlotBlocked, Name: "grow/{vcpus}/while={phase}/slot={slot}/slot-blocked", Unit: elapsed, Label: slotOf,
			Hidden: func(k Key) bool { return !isIdle(k) || notInTables(k) }, Compare: Chance, Chancy: true,
		}},
	}, {
		Title: "Exits after which a running vCPU waited for something", Sizes: "vCPUs",
		Operations: []Operation{{
			Op: GapBlocked, Name: "gaps/{vcpus}/phase={phase}/blocked", Unit: gaps, Label: phaseOf,
			Compare: Noise, Chancy: true, Goal: always(0),
			Summary: &Summary{What: prefixed("Exits after which a running vCPU waited, ", phaseOf), Of: beforeAndDuring},
		}},
	}, {
		Title: "Memory of what holds a VM's vCPUs", Per: "bytes a VM", Sizes: "vCPUs", Inline: true,
		Operations: []Operation{{
			Op: Memory, Name: "memory/{vcpus}/{ids}", Unit: bytesHeld, Label: idsOf, Goal: goalOfMemory,
			Summary: &Summary{What: prefixed("Memory of what holds vCPUs, bytes a VM, ", idsOf), First: everyKey},
			Lines: []Line{
				{"Memory to hold vCPUs, bytes", Key{IDs: measure.Dense}, memorySizes, LargestSize, ""},
				{" - if IDs aren't indices", Key{IDs: measure.Sparse}, memorySizes, LargestSize, ""},
			},
		}},
	}, {
		Title: "Memory of one object", Per: "bytes",
		Operations: []Operation{{
			Op: MemoryObject, Name: "memory/struct={object}", Unit: bytes, Label: structOf,
			Summary: &Summary{Code: structOf, What: constant("memory, bytes")},
		}},
	}, {
		Title: "sizeof", Per: "bytes",
		Operations: []Operation{{
			Op: SizeOf, Name: "sizeof/struct={object}", Unit: bytes, Label: structOf, Goal: goalOfSize,
			Summary: &Summary{Code: func(k Key) string { return "sizeof(" + structOf(k) + ")" }, What: constant("bytes")},
		}},
	}, {
		Programs: true,
		Operations: []Operation{
			{Op: ProbeLoop, Name: "probe/loop", Unit: perRun, Compare: Noise},
			{Op: GapP50, Name: "gaps/{vcpus}/phase={phase}/p50", Unit: perGap, Compare: Noise, Chancy: true},
			{Op: GapP99, Name: "gaps/{vcpus}/phase={phase}/p99", Unit: perGap, Compare: Noise, Chancy: true},
			{Op: GapGuestMax, Name: "gaps/{vcpus}/phase={phase}/guest-max", Unit: perGap, Compare: Chance, Chancy: true},
			{Op: GapRan, Name: "gaps/{vcpus}/phase={phase}/ran", Unit: gaps, Compare: Chance, Chancy: true},
			{Op: GapPreempted, Name: "gaps/{vcpus}/phase={phase}/preempted", Unit: gaps, Compare: Chance, Chancy: true},
			{Op: GapBlockedMax, Name: "gaps/{vcpus}/phase={phase}/blocked-max", Unit: elapsed, Compare: Chance, Chancy: true},
			{Op: GrowBlocked, Name: "grow/{vcpus}/while={phase}/create-blocked", Unit: blocks, Compare: Noise, Chancy: true},
			{Op: GrowContended, Name: "grow/{vcpus}/while={phase}/create-contended", Unit: contended, Compare: Noise, Chancy: true},
			{Op: GrowDeferred, Name: "grow/{vcpus}/while={phase}/create-deferred", Unit: defers, Compare: Noise, Chancy: true},
			{Op: GrowSlotOn, Name: "grow/{vcpus}/while={phase}/slot={slot}/slot-on", Unit: perIoctl, Compare: Noise, Chancy: true},
		},
	},
}
