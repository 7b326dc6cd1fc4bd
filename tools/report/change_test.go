// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"math"
	"testing"

	"vcpulab/tools/results"
)

func figure(unit string, value float64) results.Figure {
	return results.Figure{Unit: unit, Value: value, Low: value, High: value}
}

func TestCompare(t *testing.T) {
	const insns, ns = "insns/op", "ns/op"
	wide := func(unit string, value, low, high float64) results.Figure {
		return results.Figure{Unit: unit, Value: value, Low: low, High: high}
	}
	for name, test := range map[string]struct {
		base, again, patched results.Figure
		text                 string
		verdict              verdict
	}{
		"same":         {figure(insns, 75), figure(insns, 75), figure(insns, 75), "same", same},
		"fewer":        {figure(insns, 101), figure(insns, 101), figure(insns, 18), "5.6x fewer", better},
		"many fewer":   {figure(insns, 167988), figure(insns, 167988), figure(insns, 60), "2,800x fewer", better},
		"a bit fewer":  {figure(insns, 100), figure(insns, 100), figure(insns, 94), "6.0% fewer", better},
		"hardly fewer": {figure(insns, 1e6), figure(insns, 1e6), figure(insns, 1e6-1), "<0.1% fewer", better},
		"more":         {figure(insns, 70), figure(insns, 70), figure(insns, 80), "14.3% more", worse},
		"a bit more":   {figure(insns, 100), figure(insns, 100), figure(insns, 104), "4.0% more", worse},
		"faster":       {figure(ns, 30), figure(ns, 30), figure(ns, 10), "3.0x faster", better},
		"slower":       {figure(ns, 10), figure(ns, 10), figure(ns, 11.5), "15.0% slower", worse},
		"noise between boots": {wide(ns, 30, 29, 31), figure(ns, 30), wide(ns, 29, 28, 30),
			"~ -3.3%", within},
		"noise in A/A":  {figure(insns, 44000), figure(insns, 44100), figure(insns, 44050), "~ +0.1%", within},
		"hardly noise":  {figure(insns, 4400000), figure(insns, 4400100), figure(insns, 4400050), "~ 0%", within},
		"beyond noise":  {wide(ns, 30, 29, 31), wide(ns, 32, 31, 33), wide(ns, 28, 28, 28.5), "6.7% faster", better},
		"bytes more":    {figure("B", 6976), figure("B", 6976), figure("B", 6992), "+16", worse},
		"bytes fewer":   {figure("B", 6976), figure("B", 6976), figure("B", 5976), "-1,000", better},
		"held, fewer":   {figure("B/vm", 584), figure("B/vm", 584), figure("B/vm", 512), "12.3% fewer", better},
		"held, more":    {figure("B/vm", 9928), figure("B/vm", 9928), figure("B/vm", 43008), "4.3x more", worse},
		"held, new":     {figure("B/vm", 0), figure("B/vm", 0), figure("B/vm", 2560), "+2,560", worse},
		"no more waits": {figure("grace-periods", 12), figure("grace-periods", 12), figure("grace-periods", 0), "-12", better},
		"new waits":     {figure("grace-periods", 0), figure("grace-periods", 0), figure("grace-periods", 3), "+3", worse},
		"from nothing":  {figure(insns, 0), figure(insns, 0), figure(insns, 7), "+7", worse},
		"below nothing": {figure(insns, 2), figure(insns, 2), figure(insns, -1), "-3", better},
	} {
		t.Run(name, func(t *testing.T) {
			got := compare(test.base, test.again, test.patched, 0)
			if got.String() != test.text || got.verdict != test.verdict {
				t.Errorf("expected %q (%d), found %q (%d)", test.text, test.verdict, got, got.verdict)
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
			base := figure(unit, 1000)
			if got := compare(base, base, figure(unit, test.patched), 0.01).String(); got != test.want {
				t.Errorf("expected %q, found %q", test.want, got)
			}
		})
	}
}

func TestFloor(t *testing.T) {
	r := &results.Results{Kernels: []results.Kernel{{Name: "base"}}}
	for name, values := range map[string][2]float64{
		"create/vcpus=1/ids=dense/all":    {1000, 900},
		"create/vcpus=64/ids=dense/all":   {1000, 1000},
		"create/vcpus=64/ids=sparse/all":  {1000, 980},
		"create/vcpus=512/ids=dense/all":  {1000, 999},
		"create/vcpus=512/ids=sparse/all": {1000, 1000},
	} {
		for i, column := range []string{"base", "base-again"} {
			f := figure("insns/vm", values[i])
			f.Name, f.Column, f.Method = name, column, results.ICount
			r.Figures = append(r.Figures, f)
		}
	}
	n := noiseOf(r)
	for size, want := range map[int]float64{1: 0.1, 8: 0.02, 64: 0.02, 512: 0.001, 1024: 0} {
		if got := n.floor(results.ICount, "insns/vm", size); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d vCPUs: expected %v, found %v", size, want, got)
		}
	}
	if got := n.floor(results.KVM, "insns/vm", 1) + n.floor(results.ICount, "insns/op", 1); got != 0 {
		t.Errorf("another arm or unit: expected 0, found %v", got)
	}
}

func TestSpanOf(t *testing.T) {
	of := func(base, patched float64) change {
		return compare(figure("insns/op", base), figure("insns/op", base), figure("insns/op", patched), 0)
	}
	noisy := change{verdict: within, ratio: 1.01, amount: "+1.0%"}
	for name, test := range map[string]struct {
		worst, best change
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
