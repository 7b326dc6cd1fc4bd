// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// ErrInvalid means that samples contradict themselves: they are thrown away.
var ErrInvalid = errors.New("measurement is invalid")

// Draw makes the figures of all boots. The error is ErrInvalid if a boot's
// samples contradict themselves.
func (r *Results) Draw() error {
	r.Figures = r.Figures[:0]
	index := make(map[Place]int)
	columns := r.Columns()
	for i, b := range r.Boots {
		values, err := b.values()
		if err = cmp.Or(expect(slices.Contains(columns, b.Column()), "kernel %q is not listed", b.Kernel), err); err != nil {
			return fmt.Errorf("boot %d, %s: %w", i, b.Column(), err)
		}

		for _, v := range values {
			p := Place{v.key, b.Column(), b.Method}
			n, ok := index[p]
			if !ok {
				n = len(r.Figures)
				index[p] = n
				r.Figures = append(r.Figures, Figure{Place: p, Low: v.low, High: v.high})
			}
			f := &r.Figures[n]
			f.Boots = append(f.Boots, i)
			f.Values = append(f.Values, v.value)
			f.Low, f.High = min(f.Low, v.low), max(f.High, v.high)
		}
	}

	for i := range r.Figures {
		r.Figures[i].summarize()
	}
	// Boots come in shuffled order; the first column must be the baseline,
	// because benchstat compares with the one that it sees first.
	slices.SortStableFunc(r.Figures, func(a, b Figure) int {
		return cmp.Compare(slices.Index(columns, a.Column), slices.Index(columns, b.Column))
	})
	return nil
}

// Columns lists the columns of all kernels, each with its repetition after it.
func (r *Results) Columns() []string {
	var all []string
	for _, k := range r.Kernels {
		all = append(all, Which{Kernel: k.Name}.Column(), Which{Kernel: k.Name, Again: true}.Column())
	}
	return all
}

// summarize draws Value, Low and High from Values. Low and High hold what the
// boots allow for already.
func (f *Figure) summarize() {
	f.Value = Median(f.Values)
	if f.Method.Exact() || len(f.Values) == 1 {
		return
	}

	// With few boots there is no such interval: all that was seen, then.
	if lo, hi, ok := interval(f.Values, 0.95); ok {
		f.Low, f.High = lo, hi
	}
}

// interval returns the interval that the median lies in with this confidence,
// ok unless the samples are too few.
func interval(values []float64, confidence float64) (lo, hi float64, ok bool) {
	s := benchmath.AssumeNothing.Summary(&benchmath.Sample{
		Values: slices.Sorted(slices.Values(values)), Thresholds: &benchmath.DefaultThresholds,
	}, confidence)
	return s.Lo, s.Hi, !math.IsInf(s.Lo, 0) && !math.IsInf(s.Hi, 0)
}

type value struct {
	key       figure.Key
	value     float64
	low, high float64 // the interval that it lies in
	from      string  // see Boot.Sources
}

// counted is a value that is what it is.
func counted(key figure.Key, v float64) value {
	return value{key: key, value: v, low: v, high: v}
}

// as is a key with another operation.
func as(key figure.Key, op figure.Op) figure.Key {
	key.Op = op
	return key
}

// drawing is the figures of one boot, until samples contradict themselves.
type drawing struct {
	values []value
	err    error
}

// values draws the figures of one boot, in the order in which to show them.
func (b Boot) values() ([]value, error) {
	var d drawing
	b.drawLoops(&d)
	drawEach(&d, "creates", b.Creates, createValues)
	drawEach(&d, "races", b.Races, raceValues)
	drawEach(&d, "cached", b.Cached, cachedValues)
	if b.Method == Native {
		return d.values, d.err // there is no kernel whose structures have a size
	}

	drawEach(&d, "memory", b.Memory, b.memoryValues)
	if len(b.Memory) > 0 {
		d.values = append(d.values, objectValues(figure.MemoryObject, "/memory/0", float64(b.Memory[0].KVM), float64(b.Memory[0].VCPU))...)
	}
	drawEach(&d, "growths", b.Growths, growthValues)
	drawEach(&d, "gaps", b.Gaps, gapValues)
	drawEach(&d, "setups", b.Setups, setupValues)
	drawEach(&d, "paths", b.Paths, b.pathValues)
	drawEach(&d, "starts", b.Starts, startValues)
	d.values = append(d.values, objectValues(figure.SizeOf, "/sizes", float64(b.Sizes.KVM), float64(b.Sizes.VCPU))...)
	return d.values, cmp.Or(d.err, expect(b.Sizes.KVM > 0 && b.Sizes.VCPU > 0, "the structures' sizes are missing"))
}

// drawEach draws the figures of each sample of an array of the boot's JSON, and
// says that they are drawn from it.
func drawEach[T any](d *drawing, array string, samples []T, draw func(T) ([]value, error)) {
	for i, s := range samples {
		if d.err != nil {
			return
		}
		var values []value
		values, d.err = draw(s)
		for _, v := range values {
			v.from = fmt.Sprintf("/%s/%d", array, i)
			d.values = append(d.values, v)
		}
	}
}

// Check returns an ErrInvalid if the boot's samples contradict themselves.
func (b Boot) Check() error {
	_, err := b.values()
	return err
}

// Sources says which of the boot's samples each figure is drawn from, as a JSON pointer that
// begins at the boot: "/loops/3". A figure that is drawn from several is not in it; what a
// loop takes itself is not said either. The error is ErrInvalid if samples contradict themselves.
func (b Boot) Sources() (map[figure.Key]string, error) {
	values, err := b.values()
	if err != nil {
		return nil, err
	}

	out := make(map[figure.Key]string)
	for _, v := range values {
		if v.from != "" {
			out[v.key] = v.from
		}
	}
	return out, nil
}

// Median returns the median of values.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func floats(in []int64) []float64 {
	out := make([]float64, len(in))
	for i, v := range in {
		out[i] = float64(v)
	}
	return out
}

// ordinals are the numbers of vCPUs that a VM has already when the creation
// of the next one is shown.
var ordinals = []int{0, 16, 64, 256, 512, 1016, 2040, 4080}

// ordinalWindow is how many creations, from the ordinal on, the median is taken of: an interrupt
// hits one of them, not most. What the allocators have at hand makes two in a row differ by some
// per cent, the same in every boot of a kernel: so the window says what the median may be.
const ordinalWindow = 8

// windowConfidence is that of the interval: it leaves out the smallest and the
// largest of the window.
const windowConfidence = 0.9

// createValues draws the figures of a VM's creations.
func createValues(c measure.Create) ([]value, error) {
	err := expect(len(c.Nanos) == c.VM.VCPUs, "create %v: expected as many creations as vCPUs, found %d", c.VM, len(c.Nanos))
	for i, n := range c.Nanos {
		err = cmp.Or(err, expect(n > 0, "create %v: expected time to pass, found %d ns for vCPU %d", c.VM, n, i))
	}

	var out []value
	key := figure.VM(figure.Create, c.VM)
	for _, at := range ordinals {
		if at+ordinalWindow > len(c.Nanos) {
			break
		}
		window := floats(c.Nanos[at : at+ordinalWindow])
		key.At = at
		v := counted(key, Median(window))
		if lo, hi, ok := interval(window, windowConfidence); ok {
			v.low, v.high = lo, hi
		}
		out = append(out, v)
	}

	key.At = 0
	total := sum(slices.Values(c.Nanos))
	out = append(out, counted(as(key, figure.CreateAll), total))
	if len(c.ArchNanos) == len(c.Nanos) {
		arch, waiting := sum(slices.Values(c.ArchNanos)), sum(maps.Values(c.WaitNanos))
		err = cmp.Or(err, expect(arch+waiting <= total && arch >= 0 && waiting >= 0,
			"create %v: expected parts of %.0f ns, found %.0f ns in kvm_arch_vcpu_create() and %.0f ns of waiting", c.VM, total, arch, waiting))
		out = append(out,
			counted(as(key, figure.CreateArch), arch),
			counted(as(key, figure.CreateWaiting), waiting),
			counted(as(key, figure.CreateRest), total-arch-waiting))
	}
	if growth, ok := growth(c.Nanos); ok {
		out = append(out, counted(as(key, figure.CreateGrowth), growth))
	}
	return append(out, counted(as(key, figure.CreateWaits), sum(maps.Values(c.Waits)))), err
}

func sum[T int64 | uint64](values iter.Seq[T]) float64 {
	all := 0.0
	for v := range values {
		all += float64(v)
	}
	return all
}

// growth is how often the cost of one of the first creations of a VM fits into that of one of
// the last, each the median over an eighth: 1 if building VMs is linear. The very first eighth
// pays for what is done once and is left out. ok unless there are too few creations.
func growth(nanos []int64) (ratio float64, ok bool) {
	w := len(nanos) / 8
	if w < ordinalWindow {
		return 0, false
	}
	at := func(from int) float64 { return Median(floats(nanos[from : from+w])) }
	return at(len(nanos)-w) / at(w), true
}

// memoryValues draws the figures of what a VM takes. The objects are as large as
// in the first one.
func (b Boot) memoryValues(m measure.Memory) ([]value, error) {
	first := b.Memory[0]
	return []value{counted(figure.VM(figure.Memory, m.VM), float64(m.Container))}, cmp.Or(
		expect(m.KVM > 0 && m.VCPU > 0 && (m.Container == 0) == (m.Objects == 0),
			"memory of %v: expected bytes of every object, found %+v", m.VM, m),
		expect(m.KVM == first.KVM && m.VCPU == first.VCPU, "memory of %v: expected %d and %d bytes for struct kvm and struct kvm_vcpu, as in %v, found %d and %d",
			m.VM, first.KVM, first.VCPU, first.VM, m.KVM, m.VCPU))
}

// objectValues are figures of struct kvm and of struct kvm_vcpu.
func objectValues(op figure.Op, from string, kvm, vcpu float64) []value {
	return []value{
		{figure.Key{Op: op, Object: "kvm"}, kvm, kvm, kvm, from},
		{figure.Key{Op: op, Object: "kvm_vcpu"}, vcpu, vcpu, vcpu, from},
	}
}
