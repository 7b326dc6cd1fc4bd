// SPDX-License-Identifier: GPL-2.0-only

package figure

import (
	"strings"

	"vcpulab/ebpf/measure"
)

// What the table says in words, and of which keys. Nothing here is read again:
// whatever has to know what a figure is of asks its key.

var createVCPU = constant("KVM_CREATE_VCPU")

func everyKey(Key) bool { return true }

func isDense(k Key) bool { return k.IDs == measure.Dense }

// isIndex says that an ID is looked up that is the vCPU's index.
func isIndex(k Key) bool { return k.IDs == measure.Dense && !k.Missing }

func isIdle(k Key) bool { return k.Phase == Idle }

// notInTables are figures of growth that say nothing that others do not.
func notInTables(k Key) bool {
	return k.Phase != Idle && k.Phase != measure.Slots || k.Slot == AfterCreation
}

func beforeAndDuring(k Key) bool { return k.Phase == measure.Before || k.Phase == measure.During }

// firstByID are the lookups on the first screen: found, and not found where
// that takes longest.
func firstByID(k Key) bool { return k.Usual() && (!k.Missing || k.IDs == measure.Sparse) }

func firstPath(k Key) bool {
	return k.IDs == measure.Sparse && (k.Path == measure.PathIPI || k.Path == measure.PathHyperVIPI)
}

func prefixed(prefix string, of func(Key) string) func(Key) string {
	return func(k Key) string { return prefix + of(k) }
}

func suffixed(of func(Key) string, suffix string) func(Key) string {
	return func(k Key) string { return of(k) + suffix }
}

func started(until string) func(Key) string {
	return func(k Key) string { return joined(until, unlessSparse(k)) }
}

// whileRunning adds that a vCPU runs meanwhile.
func whileRunning(of func(Key) string) func(Key) string {
	return func(k Key) string {
		if isIdle(k) {
			return of(k)
		}
		return of(k) + ", vCPU runs"
	}
}

func slotOf(k Key) string {
	if k.Slot == Control {
		return "any memslot call"
	}
	return "next memslot call"
}

func phaseOf(k Key) string { return phases[k.Phase] }

func structOf(k Key) string { return "struct " + k.Object }

func pathOf(k Key) string { return joined(paths[k.Path], unlessSparse(k)) }

// pathTitle begins with a capital letter, as a title does.
func pathTitle(k Key) string {
	title := pathOf(k)
	return strings.ToUpper(title[:1]) + title[1:]
}

func lookupOf(k Key) string { return functions[k.Lookup] }

// raced describes a lookup beside creations.
func raced(k Key) string { return joined(lookupOf(k), racedOf(k)) }

func racedOf(k Key) string {
	return map[measure.Op]string{measure.ByID: idsOf(k), measure.Walk: "per vCPU"}[k.Lookup]
}

// racedRest is raced without the function.
func racedRest(k Key) string {
	if rest := racedOf(k); rest != "" {
		return rest + ", "
	}
	return ""
}

// cyclesOf describes a lookup whose cycles were counted.
func cyclesOf(k Key) string {
	switch k.Lookup {
	case measure.Walk:
		return lookupOf(k)
	case measure.ByID:
		return joined(lookupOf(k), lookedUp(k))
	}
	return joined(lookupOf(k), orderOf(k))
}

func byIDTitle(k Key) string {
	if k.Missing {
		return "kvm_get_vcpu_by_id(), not found"
	}
	return "kvm_get_vcpu_by_id(), found"
}

func byIDCaption(k Key) string {
	if k.Missing {
		return "Lookup of IDs that no vCPU has"
	}
	return "Lookup of IDs that vCPUs have"
}

// ratePer says what a rate is in.
func ratePer(m Method) string {
	if m == ICount {
		return "calls in 10^9 instructions of all that is run, not in a second"
	}
	return "calls in a second"
}
