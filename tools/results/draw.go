// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"golang.org/x/perf/benchmath"

	"vcpulab/ebpf/measure"
)

// Units of figures that are no cost.
const (
	UnitBytes = "B"             // of a structure
	UnitHeld  = "B/vm"          // of what a VM takes besides
	UnitWaits = "grace-periods" // that were waited for
	UnitRatio = "ratio"         // of one cost to another
)

// ErrInvalid means that samples contradict themselves: they are thrown away.
var ErrInvalid = errors.New("measurement is invalid")

// linearity is by how much the cost of 2N passes may miss twice that of N.
const linearity = 0.05

// wholeness is by how much the instructions of a pass may miss a whole number:
// the clock that counts them is converted to nanoseconds and back. If it is
// more the clock does not count instructions one by one.
const wholeness = 0.01

// Draw makes the figures of all boots. The error is ErrInvalid if a boot's
// samples contradict themselves.
func (r *Results) Draw() error {
	type key struct {
		name, column, unit string
		arm                Method
	}
	figures := make(map[key]*Figure)
	var order []key
	columns := r.columns()
	for i, b := range r.Boots {
		if !slices.Contains(columns, b.Column()) {
			return fmt.Errorf("boot %d: %w: kernel %q is not listed", i, ErrInvalid, b.Kernel)
		}
		values, err := b.values()
		if err != nil {
			return fmt.Errorf("boot %d, %s: %w", i, b.Column(), err)
		}
		for _, v := range values {
			k := key{v.name, b.Column(), v.unit, b.Method}
			f := figures[k]
			if f == nil {
				f = &Figure{Name: v.name, Column: b.Column(), Method: b.Method, Unit: v.unit}
				figures[k] = f
				order = append(order, k)
			}
			f.Boots = append(f.Boots, i)
			f.Values = append(f.Values, v.value)
			if len(f.Values) == 1 {
				f.Low, f.High = v.low, v.high
			}
			f.Low, f.High = min(f.Low, v.low), max(f.High, v.high)
		}
	}
	// Boots come in shuffled order; the first column must be the baseline,
	// because benchstat compares with the one that it sees first.
	slices.SortStableFunc(order, func(a, b key) int {
		return cmp.Compare(slices.Index(columns, a.column), slices.Index(columns, b.column))
	})
	r.Figures = r.Figures[:0]
	for _, k := range order {
		f := figures[k]
		f.summarize()
		r.Figures = append(r.Figures, *f)
	}
	return nil
}

// columns lists the columns of all kernels, each with its repetition after
// it.
func (r *Results) columns() []string {
	var all []string
	for _, k := range r.Kernels {
		all = append(all, Boot{Kernel: k.Name}.Column(), Boot{Kernel: k.Name, Again: true}.Column())
	}
	return all
}

// summarize draws Value, Low and High from Values. Low and High hold what the
// boots allow for already.
func (f *Figure) summarize() {
	sorted := slices.Sorted(slices.Values(f.Values))
	f.Value = median(sorted)
	if f.Method.Exact() || len(sorted) == 1 {
		return
	}
	// With few boots there is no such interval: all that was seen, then.
	if lo, hi, ok := interval(sorted, 0.95); ok {
		f.Low, f.High = lo, hi
	}
}

// interval returns the interval that the median lies in with this confidence,
// ok unless the samples are too few. They are sorted.
func interval(sorted []float64, confidence float64) (lo, hi float64, ok bool) {
	s := benchmath.AssumeNothing.Summary(&benchmath.Sample{
		Values: sorted, Thresholds: &benchmath.DefaultThresholds,
	}, confidence)
	return s.Lo, s.Hi, !math.IsInf(s.Lo, 0) && !math.IsInf(s.Hi, 0)
}

// value is a figure of one boot.
type value struct {
	name, unit string
	value      float64
	low, high  float64 // the interval that it lies in
	from       string  // see Boot.Sources
}

// counted is a value that is what it is.
func counted(name, unit string, v float64) value {
	return value{name: name, unit: unit, value: v, low: v, high: v}
}

// drawn says which of the boot's samples values are drawn from: an element of
// the JSON's array of this name.
func drawn(array string, i int, values ...value) []value {
	for j := range values {
		values[j].from = fmt.Sprintf("/%s/%d", array, i)
	}
	return values
}

// values draws the figures of one boot, in the order in which to show them.
func (b Boot) values() ([]value, error) {
	unit := b.Method.Unit()
	nop, around := make(map[measure.VM]float64), []float64(nil)
	nopCycles := make(map[measure.VM]float64)
	for _, l := range b.Loops {
		if l.Op != measure.Nop {
			continue
		}
		cost, err := b.perPass(l)
		if err != nil {
			return nil, err
		}
		nop[l.VM] = cost / float64(l.Numbers)
		if len(l.OnceCycles) > 0 {
			if nopCycles[l.VM], err = cyclesOf(l); err != nil {
				return nil, err
			}
		}
		for i, once := range l.Once {
			around = append(around, float64(2*once-l.Twice[i]))
		}
	}
	var out []value
	if len(around) > 0 {
		sort.Float64s(around)
		out = append(out, counted("probe/loop", b.Method.ProbeUnit(), median(around)))
	}
	for i, l := range b.Loops {
		if l.Op == measure.Nop {
			continue
		}
		cost, err := b.perPass(l)
		if err != nil {
			return nil, err
		}
		own, ok := nop[l.VM]
		if !ok {
			return nil, fmt.Errorf("%w: %s of %v: the loop's own cost was not measured", ErrInvalid, l.Op, l.VM)
		}
		name := fmt.Sprintf("%s/%v", l.Op, l.VM)
		if l.Order != "" {
			name += "/order=" + string(l.Order)
		}
		if l.Missing {
			name += "/missing"
		}
		each := cost/float64(l.Numbers) - own
		if l.Op == measure.Walk {
			each = cost / float64(l.VM.VCPUs)
		}
		out = append(out, drawn("loops", i, counted(name, unit, each))...)
		if len(l.OnceCycles) > 0 {
			cycles, err := cyclesOf(l)
			if err != nil {
				return nil, err
			}
			if l.Op != measure.Walk {
				cycles -= nopCycles[l.VM]
			}
			out = append(out, drawn("loops", i, counted(name+"/cycles", UnitCycles, cycles))...)
		}
	}
	slices.SortStableFunc(out, func(a, b value) int { return cmp.Compare(opOrder(a.name), opOrder(b.name)) })
	for i, c := range b.Creates {
		vs, err := createValues(c, b.Method)
		if err != nil {
			return nil, err
		}
		out = append(out, drawn("creates", i, vs...)...)
	}
	for i, r := range b.Races {
		vs, err := raceValues(r, b.Method)
		if err != nil {
			return nil, err
		}
		out = append(out, drawn("races", i, vs...)...)
	}
	if b.Method == Native {
		return out, nil // there is no kernel whose structures have a size
	}
	if b.Sizes.KVM == 0 || b.Sizes.VCPU == 0 {
		return nil, fmt.Errorf("%w: the structures' sizes are missing", ErrInvalid)
	}
	vs, err := memoryValues(b.Memory)
	if err != nil {
		return nil, err
	}
	out = append(append(out, vs...), b.stallValues()...)
	if vs, err = b.pathValues(); err != nil {
		return nil, err
	}
	out = append(out, vs...)
	sizes := []value{
		counted("sizeof/struct=kvm", UnitBytes, float64(b.Sizes.KVM)),
		counted("sizeof/struct=kvm_vcpu", UnitBytes, float64(b.Sizes.VCPU)),
	}
	for i := range sizes {
		sizes[i].from = "/sizes"
	}
	return append(out, sizes...), nil
}

// opOrder puts get before by_id before walk.
func opOrder(name string) int {
	for i, op := range []measure.Op{measure.Get, measure.ByID, measure.Walk} {
		if len(name) > len(op) && name[:len(op)] == string(op) {
			return i
		}
	}
	return len(name)
}

// perPass returns what one pass costs: the difference between 2N passes and
// N, over N. What is around the loop falls out of it.
func (b Boot) perPass(l measure.Loop) (float64, error) {
	bad := func(format string, args ...any) (float64, error) {
		return 0, fmt.Errorf("%w: %s of %v: %s", ErrInvalid, l.Op, l.VM, fmt.Sprintf(format, args...))
	}
	if len(l.Once) == 0 || len(l.Once) != len(l.Twice) || l.Passes < 1 || l.Numbers < 1 || l.VM.VCPUs < 1 {
		return bad("expected runs with N and with 2N passes, found %d and %d", len(l.Once), len(l.Twice))
	}
	var costs []float64
	for i, once := range l.Once {
		twice := l.Twice[i]
		if b.Method.Exact() && (once != l.Once[0] || twice != l.Twice[0]) {
			return bad("expected the same count every time, found %v and %v", l.Once, l.Twice)
		}
		if once <= 0 {
			return bad("expected time to pass, found %d ns", once)
		}
		if ratio := float64(twice) / float64(once); math.Abs(ratio/2-1) > linearity {
			return bad("2N passes cost %.3f times what N cost: expected 2 within %.0f %%", ratio, linearity*100)
		}
		cost := float64(twice-once) / float64(l.Passes)
		if b.Method.Exact() && math.Abs(cost-math.Round(cost)) > wholeness {
			return bad("a pass costs %.4f instructions: expected a whole number", cost)
		}
		costs = append(costs, cost)
	}
	sort.Float64s(costs)
	return median(costs), nil
}

// memoryValues draws the figures of what VMs take.
func memoryValues(all []measure.Memory) ([]value, error) {
	if len(all) == 0 {
		return nil, nil // results of a version that did not count it
	}
	var out []value
	first := all[0]
	for i, m := range all {
		switch {
		case m.KVM == 0 || m.VCPU == 0 || (m.Container == 0) != (m.Objects == 0):
			return nil, fmt.Errorf("%w: memory of %v: expected bytes of every object, found %+v", ErrInvalid, m.VM, m)
		case m.KVM != first.KVM || m.VCPU != first.VCPU:
			return nil, fmt.Errorf("%w: memory of %v: expected %d and %d bytes for struct kvm and struct kvm_vcpu, as in %v, found %d and %d",
				ErrInvalid, m.VM, first.KVM, first.VCPU, first.VM, m.KVM, m.VCPU)
		}
		out = append(out, drawn("memory", i, counted(fmt.Sprintf("memory/%v", m.VM), UnitHeld, float64(m.Container)))...)
	}
	return append(out, drawn("memory", 0,
		counted("memory/struct=kvm", UnitBytes, float64(first.KVM)),
		counted("memory/struct=kvm_vcpu", UnitBytes, float64(first.VCPU)))...), nil
}

// median returns the median of sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}
