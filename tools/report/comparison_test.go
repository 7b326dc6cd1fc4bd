// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// cheaper takes n instructions off each kvm_get_vcpu() of the patched kernel.
func cheaper(t *testing.T, r *results.Results, n int64) *results.Results {
	t.Helper()
	for i := range r.Boots {
		for j, l := range r.Boots[i].Loops {
			if r.Boots[i].Kernel != "patched" || l.Op != measure.Get {
				continue
			}
			l.Once, l.Twice = append([]int64(nil), l.Once...), append([]int64(nil), l.Twice...)
			for k := range l.Once {
				l.Once[k] -= n * int64(l.Numbers*l.Passes)
				l.Twice[k] -= 2 * n * int64(l.Numbers*l.Passes)
			}
			r.Boots[i].Loops[j] = l
		}
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCompareResults says what is found of one figure, and of all.
func TestCompareResults(t *testing.T) {
	get := func(r *results.Results) {} // nothing is changed
	for name, tt := range map[string]struct {
		times    bool
		old, new func(*results.Results)
		verdict  Verdict // of kvm_get_vcpu() on the patched kernel
		why      string
		good     bool
	}{
		"the same":   {false, get, get, Same, "", true},
		"better":     {false, get, func(r *results.Results) { cheaper(t, r, 2) }, Better, "", true},
		"worse":      {false, get, func(r *results.Results) { cheaper(t, r, -2) }, Worse, "", false},
		"new series": {false, get, func(r *results.Results) { r.Kernels[1].Series = "f00" }, Same, "", true},
		"configuration": {false, get, func(r *results.Results) { r.Kernels[1].Config = "f00" },
			Incomparable, "configuration", false},
		"compiler": {false, get, func(r *results.Results) { r.Kernels[1].Compiler = "clang 19" }, Incomparable, "compiler", false},
		"HZ and RCU": {false, get, func(r *results.Results) { r.Kernels[1].HZ, r.Kernels[1].RCU = 100, "non-preemptible" },
			Incomparable, "HZ, RCU", false},
		"of the baseline alone": {false, get, func(r *results.Results) { r.Kernels[0].Preemption = "full" }, Same, "", false},
		"QEMU":                  {false, get, func(r *results.Results) { r.Host.QEMU = "QEMU 11" }, Incomparable, "QEMU", false},
		"command line": {false, get, func(r *results.Results) { r.Boots[0].Command += " -smp 2" },
			Incomparable, "command line of QEMU", false},
		"kernel's command line": {false, get, func(r *results.Results) { r.Boots[0].Cmdline += " nosmt" },
			Incomparable, "command line of the kernel", false},
		"processor, instructions": {false, get, func(r *results.Results) { r.Host.CPU = "Z80" }, Same, "", true},
		"processor, times":        {true, get, func(r *results.Results) { r.Host.CPU = "Z80" }, Same, "", false},
		"not measured before":     {false, func(r *results.Results) { upTo(t, r, 8) }, get, OnlyNew, "", true},
		"not measured again":      {false, get, func(r *results.Results) { upTo(t, r, 8) }, OnlyOld, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			old, new := readFixture(t), readFixture(t)
			if tt.times {
				old, new = withTimes(t, old), withTimes(t, new)
			}
			tt.old(old)
			tt.new(new)
			c := Compare(old, new)
			n := 0
			for _, f := range c.Figures {
				if strings.HasSuffix(f.Kernel, "-again") {
					t.Errorf("%s: the repetition is compared", f.Name)
				}
				if f.Name != "get/vcpus=1024/ids=dense" || f.Kernel != "patched" || f.Method != results.ICount {
					continue
				}
				n++
				if f.Verdict != tt.verdict || f.Why != tt.why {
					t.Errorf("expected %s (%q), found %s (%q)", tt.verdict, tt.why, f.Verdict, f.Why)
				}
				if (f.Old == nil) != (tt.verdict == OnlyNew) || (f.New == nil) != (tt.verdict == OnlyOld) {
					t.Errorf("expected values of those that measured it, found %v and %v", f.Old, f.New)
				}
			}
			if n != 1 || c.Good() != tt.good {
				t.Errorf("expected the figure once, good: %v, found it %d times, good: %v", tt.good, n, c.Good())
			}
			if tt.times && c.Count(Incomparable) == 0 {
				t.Error("expected times of another processor not to be compared")
			}
			var b bytes.Buffer
			for _, all := range []bool{false, true} {
				if err := c.WriteText(&b, all, false); err != nil {
					t.Fatal(err)
				}
			}
			if tt.why != "" && !strings.Contains(b.String(), "not comparable") {
				t.Errorf("expected the text to say it:\n%s", b.String())
			}
			if _, err := json.Marshal(c); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCompareNoise: differences that repetition shows are not changes.
func TestCompareNoise(t *testing.T) {
	old, new := readFixture(t), readFixture(t)
	for i := range new.Boots {
		for j := range new.Boots[i].Creates {
			c := &new.Boots[i].Creates[j]
			c.Nanos, c.ArchNanos = append([]int64(nil), c.Nanos...), append([]int64(nil), c.ArchNanos...)
			for k := range c.Nanos {
				c.Nanos[k] += c.Nanos[k] / 20
				c.ArchNanos[k] += c.ArchNanos[k] / 20
			}
		}
	}
	if err := new.Draw(); err != nil {
		t.Fatal(err)
	}
	c := Compare(old, new)
	if c.Count(WithinNoise) == 0 || c.Count(Worse) > 0 {
		t.Errorf("expected a twentieth more to be noise, found %d within it and %d worse", c.Count(WithinNoise), c.Count(Worse))
	}
}

// TestCompareSameKernel: what a kernel differs by from itself is no change, neither
// of it nor of another kernel.
func TestCompareSameKernel(t *testing.T) {
	for name, c := range map[string]struct {
		image string // of the base kernel in the new measurement
		worse int
	}{
		"the same":    {readFixture(t).Kernels[0].Image, 0},
		"another one": {"another one", 2},
	} {
		old, new := readFixture(t), readFixture(t)
		new.Kernels[0].Image, new.Kernels[1].Image = c.image, "another patched one"
		for i := range new.Figures {
			if f := &new.Figures[i]; f.Key == figure.VM(figure.CreateAll, measure.VM{VCPUs: 8, IDs: measure.Dense}) {
				f.Value, f.Low, f.High = 1.5*f.Value, 1.5*f.Low, 1.5*f.High
			}
		}
		if n := Compare(old, new).Count(Worse); n != c.worse {
			t.Errorf("%s: expected %d to be worse, found %d", name, c.worse, n)
		}
	}
}

// TestCompareNative: QEMU has no part in times of user space, the processor has.
func TestCompareNative(t *testing.T) {
	measured := func() *results.Results {
		r := upTo(t, readFixture(t), 8)
		for i := range r.Boots {
			r.Boots[i].Method, r.Boots[i].Creates, r.Boots[i].Memory = results.Native, nil, nil
		}
		if err := r.Draw(); err != nil {
			t.Fatal(err)
		}
		return r
	}
	old, new := measured(), measured()
	new.Host.QEMU = "QEMU 11"
	if c := Compare(old, new); !c.Good() {
		t.Errorf("another QEMU: expected all to be compared, found %+v", c.Obstacles)
	}
	new.Host.CPU = "Z80"
	if c := Compare(old, new); c.Good() || c.Count(Incomparable) != len(c.Figures) {
		t.Errorf("another processor: expected nothing to be compared, found %+v", c.Obstacles)
	}
}

// TestCompareNothing: two that have nothing in common are not good.
func TestCompareNothing(t *testing.T) {
	c := Compare(readFixture(t), &results.Results{})
	if c.Good() || c.Count(OnlyOld) != len(c.Figures) {
		t.Errorf("expected figures of the old one alone, found %d of %d, good: %v", c.Count(OnlyOld), len(c.Figures), c.Good())
	}
	if c = Compare(&results.Results{}, &results.Results{}); c.Good() {
		t.Error("expected nothing not to be good")
	}
	if err := c.WriteText(broken{}, true, false); err != errFull {
		t.Errorf("expected the error of a full disk, found %v", err)
	}
}

// TestExactlyWorse: what differs from run to run fails nobody's CI.
func TestExactlyWorse(t *testing.T) {
	for name, c := range map[string]struct {
		op      figure.Op
		method  results.Method
		verdict Verdict
		want    bool
	}{
		"a count":           {"get", results.ICount, Worse, true},
		"a better count":    {"get", results.ICount, Better, false},
		"a time":            {"get", results.Native, Worse, false},
		"a creation":        {"create-all", results.ICount, Worse, false},
		"not comparable":    {"get", results.ICount, Incomparable, false},
		"memory that grows": {"memory", results.ICount, Worse, true},
	} {
		d := Compared{Key: figure.Key{Op: c.op}, Method: c.method, Verdict: c.verdict}
		if got := d.ExactlyWorse(); got != c.want {
			t.Errorf("%s: expected %t, found %t", name, c.want, got)
		}
	}
}
