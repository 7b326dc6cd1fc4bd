// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"math"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// figureIn is a figure in a unit.
func figureIn(unit string, value float64) results.Figure {
	f := results.Figure{Place: results.Place{Method: figure.ICount}, Value: value, Low: value, High: value}
	f.Key.Op = map[string]figure.Op{
		"insns/op": figure.Get, "ns/op": figure.Get, "insns/vm": figure.CreateAll,
		"B": figure.SizeOf, "B/vm": figure.Memory, "grace-periods": figure.CreateWaits,
	}[unit]
	if unit == "ns/op" {
		f.Method = figure.KVM
	}
	if f.Unit() != unit {
		panic(unit)
	}
	return f
}

func TestCompare(t *testing.T) {
	const insns, ns = "insns/op", "ns/op"
	wide := func(unit string, value, low, high float64) results.Figure {
		f := figureIn(unit, value)
		f.Low, f.High = low, high
		return f
	}
	for name, test := range map[string]struct {
		base, again, patched results.Figure
		text                 string
		verdict              Verdict
	}{
		"same":         {figureIn(insns, 75), figureIn(insns, 75), figureIn(insns, 75), "same", Same},
		"fewer":        {figureIn(insns, 101), figureIn(insns, 101), figureIn(insns, 18), "5.6x fewer", Better},
		"many fewer":   {figureIn(insns, 167988), figureIn(insns, 167988), figureIn(insns, 60), "2,800x fewer", Better},
		"a bit fewer":  {figureIn(insns, 100), figureIn(insns, 100), figureIn(insns, 94), "6.0% fewer", Better},
		"hardly fewer": {figureIn(insns, 1e6), figureIn(insns, 1e6), figureIn(insns, 1e6-1), "<0.1% fewer", Better},
		"more":         {figureIn(insns, 70), figureIn(insns, 70), figureIn(insns, 80), "14.3% more", Worse},
		"a bit more":   {figureIn(insns, 100), figureIn(insns, 100), figureIn(insns, 104), "4.0% more", Worse},
		"faster":       {figureIn(ns, 30), figureIn(ns, 30), figureIn(ns, 10), "3.0x faster", Better},
		"slower":       {figureIn(ns, 10), figureIn(ns, 10), figureIn(ns, 11.5), "15.0% slower", Worse},
		"noise between boots": {wide(ns, 30, 29, 31), figureIn(ns, 30), wide(ns, 29, 28, 30),
			"~ -3.3%", WithinNoise},
		"noise in A/A":  {figureIn(insns, 44000), figureIn(insns, 44100), figureIn(insns, 44050), "~ +0.1%", WithinNoise},
		"hardly noise":  {figureIn(insns, 4400000), figureIn(insns, 4400100), figureIn(insns, 4400050), "~ 0%", WithinNoise},
		"beyond noise":  {wide(ns, 30, 29, 31), wide(ns, 32, 31, 33), wide(ns, 28, 28, 28.5), "6.7% faster", Better},
		"bytes more":    {figureIn("B", 6976), figureIn("B", 6976), figureIn("B", 6992), "+16", Worse},
		"bytes fewer":   {figureIn("B", 6976), figureIn("B", 6976), figureIn("B", 5976), "-1,000", Better},
		"held, fewer":   {figureIn("B/vm", 584), figureIn("B/vm", 584), figureIn("B/vm", 512), "12.3% fewer", Better},
		"held, more":    {figureIn("B/vm", 9928), figureIn("B/vm", 9928), figureIn("B/vm", 43008), "4.3x more", Worse},
		"held, new":     {figureIn("B/vm", 0), figureIn("B/vm", 0), figureIn("B/vm", 2560), "+2,560", Worse},
		"no more waits": {figureIn("grace-periods", 12), figureIn("grace-periods", 12), figureIn("grace-periods", 0), "-12", Better},
		"new waits":     {figureIn("grace-periods", 0), figureIn("grace-periods", 0), figureIn("grace-periods", 3), "+3", Worse},
		"from nothing":  {figureIn(insns, 0), figureIn(insns, 0), figureIn(insns, 7), "+7", Worse},
		"below nothing": {figureIn(insns, 2), figureIn(insns, 2), figureIn(insns, -1), "-3", Better},
	} {
		t.Run(name, func(t *testing.T) {
			got := compare(test.base, test.again, test.patched, 0)
			if got.String() != test.text || got.Verdict != test.verdict {
				t.Errorf("expected %q (%s), found %q (%s)", test.text, test.verdict, got, got.Verdict)
			}
		})
	}
}

func TestCompareWithFloor(t *testing.T) {
	const unit = "insns/vm"
	for name, test := range map[string]struct {
		patched float64
		want    string
	}{
		"same":    {1000, "same"},
		"below":   {995, "~ -0.5%"},
		"near it": {1009, "~ +0.9%"},
		"beyond":  {980, "2.0% fewer"},
	} {
		t.Run(name, func(t *testing.T) {
			base := figureIn(unit, 1000)
			if got := compare(base, base, figureIn(unit, test.patched), 0.01).String(); got != test.want {
				t.Errorf("expected %q, found %q", test.want, got)
			}
		})
	}
}

func TestFloor(t *testing.T) {
	r := &results.Results{Kernels: []results.Kernel{{Name: "base"}}}
	for vm, values := range map[measure.VM][2]float64{
		{VCPUs: 1, IDs: measure.Dense}:    {1000, 900},
		{VCPUs: 64, IDs: measure.Dense}:   {1000, 1000},
		{VCPUs: 64, IDs: measure.Sparse}:  {1000, 980},
		{VCPUs: 512, IDs: measure.Dense}:  {1000, 999},
		{VCPUs: 512, IDs: measure.Sparse}: {1000, 1000},
	} {
		for i, column := range []string{"base", "base-again"} {
			f := figureIn("insns/vm", values[i])
			f.Key, f.Column = figure.VM(figure.CreateAll, vm), column
			r.Figures = append(r.Figures, f)
		}
	}
	n := noiseOf(r)
	of := func(op figure.Op, m figure.Method, size int) results.Figure {
		return results.Figure{Place: results.Place{Key: figure.Key{Op: op, VCPUs: size}, Method: m}}
	}
	for size, want := range map[int]float64{1: 0.1, 8: 0.02, 64: 0.02, 512: 0.001, 1024: 0} {
		if got := n.floor(of(figure.CreateArch, figure.ICount, size)); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d vCPUs: expected %v, found %v", size, want, got)
		}
	}
	if got := n.floor(of(figure.CreateAll, figure.KVM, 1)) + n.floor(of(figure.PathCall, figure.ICount, 1)); got != 0 {
		t.Errorf("another method or unit: expected 0, found %v", got)
	}
}

// What is exact is compared exactly, whatever other figures of its unit do.
func TestNoFloorOfWhatIsExact(t *testing.T) {
	of := func(op figure.Op) results.Figure {
		return results.Figure{Place: results.Place{Key: figure.Key{Op: op, VCPUs: 64}, Method: figure.ICount}}
	}
	n := noise{apart: []distance{{of(figure.Get), 0.5}, {of(figure.CreateAll), 0.2}}}
	for op, want := range map[figure.Op]float64{figure.Get: 0, figure.CreateAll: 0.2} {
		if got := n.floor(of(op)); got != want {
			t.Errorf("%s: expected %v, found %v", op, want, got)
		}
	}
}

func TestSpanOf(t *testing.T) {
	of := func(base, patched float64) difference {
		return compare(figureIn("insns/op", base), figureIn("insns/op", base), figureIn("insns/op", patched), 0)
	}
	noisy := difference{Verdict: WithinNoise, ratio: 1.01, amount: "+1.0%"}
	for name, test := range map[string]struct {
		worst, best difference
		want        string
	}{
		"one":          {of(10, 5), of(10, 5), "2.0× fewer"},
		"two":          {of(51, 18), of(101, 18), "2.8× – 5.6× fewer"},
		"two per cent": {of(100, 98), of(100, 95), "2.0% – 5.0% fewer"},
		"mixed form":   {of(100, 98), of(100, 20), "1.02× – 5.0× fewer"},
		"both worse":   {of(10, 30), of(10, 20), "3.0× – 2.0× more"},
		"same":         {of(5, 5), of(5, 5), "same"},
		"up to":        {of(5, 5), of(10, 5), "up to 2.0× fewer"},
		"noise":        {noisy, of(5, 5), "≈ within noise"},
		"worse alone":  {of(5, 10), of(5, 5), "up to 2.0× more"},
		"both ways":    {of(5, 10), of(10, 5), "2.0× more to 2.0× fewer"},
		"far":          {of(199, 40), of(168016, 40), "5.0× – 4,200× fewer"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := spanOf(test.worst, test.best); got != test.want {
				t.Errorf("expected %q, found %q", test.want, got)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	for name, test := range map[string]struct {
		value    float64
		decimals int
		want     string
	}{
		"zero":           {0, 0, "0"},
		"small":          {51, 0, "51"},
		"decimal":        {139.14, 1, "139.1"},
		"thousands":      {168016, 0, "168,016"},
		"no more needed": {1234.5, 1, "1,234"},
		"millions":       {9999999, 0, "9,999,999"},
		"shortened":      {131224518, 0, "131.22 M"},
		"large":          {1.5e12, 0, "1,500,000.00 M"},
		"negative":       {-1234567, 0, "-1,234,567"},
		"nearly zero":    {-0.01, 1, "0.0"},
		"not large":      {math.Nextafter(1000, 0), 0, "1,000"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := number(test.value, test.decimals); got != test.want {
				t.Errorf("expected %q, found %q", test.want, got)
			}
		})
	}
}

func TestSizeList(t *testing.T) {
	for want, sizes := range map[string][]int{
		"1": {1}, "0": {0}, "8, 64": {8, 64}, "65-1024": {65, 512, 1024},
	} {
		if got := sizeList(sizes); got != want {
			t.Errorf("%v: expected %q, found %q", sizes, want, got)
		}
	}
}

func TestEnumerate(t *testing.T) {
	for want, numbers := range map[string][]int{
		"1": {1}, "1 and 8": {1, 8}, "1, 8 and 64": {1, 8, 64},
	} {
		if got := enumerate(numbers); got != want {
			t.Errorf("%v: expected %q, found %q", numbers, want, got)
		}
	}
}
