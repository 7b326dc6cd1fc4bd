// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"

	"vcpulab/tools/figure"
)

// ErrInvalid means that samples contradict themselves: they are thrown away.
var ErrInvalid = errors.New("measurement is invalid")

// Draw makes the figures of all boots. The error is ErrInvalid if a boot's
// samples contradict themselves.
func (r *Results) Draw() error {
	figures := make(map[Place]*Figure)
	var order []Place
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
			p := Place{v.key, b.Column(), b.Method}
			f := figures[p]
			if f == nil {
				f = &Figure{Key: p.Key, Column: p.Column, Method: p.Method, Low: v.low, High: v.high}
				figures[p] = f
				order = append(order, p)
			}
			f.Boots = append(f.Boots, i)
			f.Values = append(f.Values, v.value)
			f.Low, f.High = min(f.Low, v.low), max(f.High, v.high)
		}
	}

	// Boots come in shuffled order; the first column must be the baseline,
	// because benchstat compares with the one that it sees first.
	slices.SortStableFunc(order, func(a, b Place) int {
		return cmp.Compare(slices.Index(columns, a.Column), slices.Index(columns, b.Column))
	})
	r.Figures = r.Figures[:0]
	for _, p := range order {
		f := figures[p]
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

// value is a figure of one boot.
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

// values draws the figures of one boot, in the order in which to show them.
func (b Boot) values() ([]value, error) {
	out, err := b.loopValues()
	if err != nil {
		return nil, err
	}
	if out, err = drawEach(out, "creates", b.Creates, createValues); err != nil {
		return nil, err
	}
	if out, err = drawEach(out, "races", b.Races, raceValues); err != nil {
		return nil, err
	}
	if b.Method == Native {
		return out, nil // there is no kernel whose structures have a size
	}

	if b.Sizes.KVM == 0 || b.Sizes.VCPU == 0 {
		return nil, fmt.Errorf("%w: the structures' sizes are missing", ErrInvalid)
	}
	memory, err := memoryValues(b.Memory)
	if err != nil {
		return nil, err
	}
	out = append(out, memory...)

	if out, err = drawEach(out, "growths", b.Growths, growthValues); err != nil {
		return nil, err
	}
	if out, err = drawEach(out, "gaps", b.Gaps, gapValues); err != nil {
		return nil, err
	}
	if out, err = drawEach(out, "paths", b.Paths, b.pathValues); err != nil {
		return nil, err
	}
	if out, err = drawEach(out, "starts", b.Starts, startValues); err != nil {
		return nil, err
	}
	return append(out, b.sizeValues()...), nil
}

// drawEach appends the figures of each sample of an array of the boot's JSON,
// and says that they are drawn from it.
func drawEach[T any](out []value, array string, samples []T, draw func(T) ([]value, error)) ([]value, error) {
	for i, s := range samples {
		values, err := draw(s)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			v.from = fmt.Sprintf("/%s/%d", array, i)
			out = append(out, v)
		}
	}
	return out, nil
}

// Check returns an ErrInvalid if the boot's samples contradict themselves.
func (b Boot) Check() error {
	_, err := b.values()
	return err
}

// Sources says which of the boot's samples each figure is drawn from, as a JSON
// pointer that begins at the boot: "/loops/3". A figure that is drawn from
// several is not in it. Of a lookup it is the loop with the lookups in it; what
// the loop takes itself is the one without any of the same VM. The error is
// ErrInvalid if the boot's samples contradict themselves.
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

// floats are numbers as float64.
func floats(in []int64) []float64 {
	out := make([]float64, len(in))
	for i, v := range in {
		out[i] = float64(v)
	}
	return out
}
