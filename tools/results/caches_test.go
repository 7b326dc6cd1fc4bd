// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"errors"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// cached is a sample of walks and lookups in a VM of ten vCPUs.
func cached() measure.Cached {
	return measure.Cached{
		VM: measure.VM{VCPUs: 10, IDs: measure.Dense}, Writer: 1, Object: 7400, Align: 64, Ascending: 14,
		Rates: [2]float64{2.1, 2.1001}, Paces: [2]float64{8200, 8210},
		Lines: []measure.Line{{VCPU: 3, Container: 2}, {VCPU: 140, Container: 2}, {VCPU: 130, Container: 120}},
		Own:   []float64{20, 24, 22},
		Visits: []measure.VisitSample{
			{Visit: measure.Visit{Op: measure.Walk, Body: measure.ReadID, State: measure.Written}, Nanos: []float64{700, 722, 9000}},
			{Visit: measure.Visit{Op: measure.Get, State: measure.Hot}, Nanos: []float64{25, 26, 27}},
			{Visit: measure.Visit{Op: measure.ByID, State: measure.Hot}, Nanos: []float64{21, 21, 21}},
		},
	}
}

// TestCached draws what a vCPU of a walk takes, and a lookup, less what timing takes.
func TestCached(t *testing.T) {
	values, err := Boot{Which: Which{Method: Native}, Cached: []measure.Cached{cached()}}.values()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, v := range values {
		if err := v.key.Check(); err != nil || v.from != "/cached/0" {
			t.Errorf("%s: expected a figure that there is, of this sample, found %q, %v", v.key.Name(), v.from, err)
		}
		got[v.key.Name()] = v.value
	}
	for name, want := range map[string]float64{
		"caches/vcpus=10/ids=dense/of=walk/body=id/state=written": 70,
		"caches/vcpus=10/ids=dense/of=get/state=hot":              4,
		"caches/vcpus=10/ids=dense/of=by_id/state=hot":            0,
		"caches/vcpus=10/ids=dense/line/state=written":            140,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: expected %g, found %g (%v)", name, want, v, ok)
		}
	}
	alone := cached()
	alone.Writer, alone.Lines[1] = -1, measure.Line{}
	alone.Visits = alone.Visits[1:]
	values, err = cachedValues(alone)
	for _, v := range values {
		if v.key.State == measure.Written || v.key.Op == figure.CachedLine && v.value == 0 {
			t.Errorf("with one processor: expected nothing that was written, found %s", v.key.Name())
		}
	}
	if err != nil || len(values) != 4 {
		t.Errorf("with one processor: expected 4 figures, found %d, %v", len(values), err)
	}
}

// TestCachedSpoiledTwice: the processor's frequency changed, which does not hide
// that nothing was written.
func TestCachedSpoiledTwice(t *testing.T) {
	c := cached()
	c.Paces[1], c.Lines[1].VCPU = 8400, 5
	err := checkCached(c)
	for _, says := range []string{"keep its frequency within 2 %", "a vCPU's line that processor 1 wrote is loaded in 5.0 ns"} {
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("expected an error that says %q, found %v", says, err)
		}
	}
}

// TestCachedSpoiled: what was not in the state that it should be in, or was spoiled,
// is no result.
func TestCachedSpoiled(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*measure.Cached)
		says  string
	}{
		"a vCPU's line was not flushed":     {func(c *measure.Cached) { c.Lines[2].VCPU = 3 }, "a vCPU's line that was flushed is loaded in 3.0 ns"},
		"the container was not flushed":     {func(c *measure.Cached) { c.Lines[2].Container = 2.5 }, "a line of the container that was flushed is loaded in 2.5 ns"},
		"nothing was written":               {func(c *measure.Cached) { c.Lines[1].VCPU = 5 }, "a vCPU's line that processor 1 wrote is loaded in 5.0 ns"},
		"one after the other in memory":     {func(c *measure.Cached) { c.Ascending = 27 }, "27 of 27 steps"},
		"backwards":                         {func(c *measure.Cached) { c.Ascending = 0 }, "0 of 27 steps"},
		"another frequency":                 {func(c *measure.Cached) { c.Paces[1] = 8400 }, "keep its frequency within 2 %"},
		"the clock went astray":             {func(c *measure.Cached) { c.Rates[0] = 2.09 }, "expected the same within 0.1 %"},
		"another processor":                 {func(c *measure.Cached) { c.Moved = 2 }, "2 times were taken on another processor than 0"},
		"a block is missing":                {func(c *measure.Cached) { c.Visits[1].Nanos = c.Visits[1].Nanos[:2] }, "found 3 of them in 3 blocks"},
		"nothing was measured":              {func(c *measure.Cached) { c.Visits = nil }, "found 0 of them"},
		"no time passed":                    {func(c *measure.Cached) { c.Visits[2].Nanos[0] = 0 }, "expected times"},
		"nobody knows which state":          {func(c *measure.Cached) { c.Visits[0].State = "warm" }, "expected times"},
		"the states of lines are not known": {func(c *measure.Cached) { c.Lines = c.Lines[:2] }, "expected times"},
		"no blocks":                         {func(c *measure.Cached) { c.Own = nil }, "in 0 blocks"},
	} {
		t.Run(name, func(t *testing.T) {
			c := cached()
			tt.spoil(&c)
			err := Boot{Which: Which{Method: Native}, Cached: []measure.Cached{c}}.Check()
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "caches of vcpus=10/ids=dense") {
				t.Errorf("expected an error that says %q, found %v", tt.says, err)
			}
		})
	}
}
