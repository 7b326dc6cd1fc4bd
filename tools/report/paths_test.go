// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// withPaths adds calls in guests to each boot of a real run: the patched
// kernel takes half of what the others take.
func withPaths(t testing.TB, r *results.Results) *results.Results {
	t.Helper()
	for i := range r.Boots {
		b := &r.Boots[i]
		of := int64(2)
		if b.Kernel == "patched" {
			of = 1
		}
		for _, n := range []int{8, 512} {
			vm := measure.VM{VCPUs: n, IDs: measure.Sparse}
			b.Starts = append(b.Starts, measure.Start{VM: vm, Created: of * 50_000 * int64(n), Ran: of * 90_000 * int64(n)})
			for _, path := range measure.AllPaths {
				call := of * 100 * int64(n)
				b.Paths = append(b.Paths, measure.PathSample{
					VM: vm, Path: path, Function: measure.PathFunctions[path], Ops: 2, Bracket: 154,
					Once: []int64{2 * (call + 1000)}, Twice: []int64{4 * (call + 1000)}, Calls: []int64{call + 154, call + 154},
				})
			}
		}
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPaths shows lookups where KVM uses them: less is better, except of rates.
func TestPaths(t *testing.T) {
	r := withPaths(t, upTo(t, readFixture(t), 8))
	var b bytes.Buffer
	if err := Table(&b, r, false); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, l := range strings.Split(b.String(), "\n") {
		lines = append(lines, strings.Join(strings.Fields(l), " "))
	}
	for _, want := range []string{
		"Functions that look vCPUs up, in a running guest, instructions a call",
		"IPI to all others 8 1,600 = 800 2.0x fewer",
		"How often they are called there, calls in 10^9 instructions of all that is run, not in a second",
		"IPI to all others 8 384,615 = 555,556 1.4x more",
		"Start of a VM, from KVM_CREATE_VM on, instructions a VM",
		"each has run once 8 1,440,000 = 720,000 2.0x fewer",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("expected a line %q, found\n%s", want, b.String())
		}
	}
	for name, want := range map[string][]string{
		"markdown": {"| KVM's function, a call, IPI to all others", "| How often, in a second or in 10^9 instructions, IPI to all others", "2.0x fewer", "1.4x more"},
		"html": {"IPI to all others, one call in KVM", `<td class="better"><i aria-hidden="true">▼</i> 1.4× more</td>`, "Calls in 10^9 instructions of guest, exits and user space together", "calls in 10^9 instructions of all that is run, not in a second",
			`<figcaption class="title">IPI to all others</figcaption>`, "IPIs are pending on each vCPU that they were for"},
	} {
		text := string(render(t, name, r))
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: expected %q, found none", name, w)
			}
		}
	}
}

// TestComparePaths: a rate that fell is worse, a start that took 3 % more is
// not.
func TestComparePaths(t *testing.T) {
	old, new := withPaths(t, upTo(t, readFixture(t), 8)), withPaths(t, upTo(t, readFixture(t), 8))
	for i := range new.Boots {
		b := &new.Boots[i]
		for j := range b.Paths {
			b.Paths[j].Twice[0] += b.Paths[j].Twice[0] / 4
		}
		for j := range b.Starts {
			b.Starts[j].Ran += b.Starts[j].Ran / 33
		}
	}
	new.Kernels[0].Image, new.Kernels[1].Image = "another one", "another patched one"
	if err := new.Draw(); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]Verdict)
	for _, f := range Compare(old, new).Figures {
		if f.Kernel == "base" {
			found[f.Name] = f.Verdict
		}
	}
	for name, want := range map[string]Verdict{
		"path/vcpus=512/ids=sparse/do=ipi-broadcast/call": Same,
		"path/vcpus=512/ids=sparse/do=ipi-broadcast/rate": Worse,
		"start/vcpus=512/ids=sparse/created":              Same,
		"start/vcpus=512/ids=sparse/ran":                  WithinNoise,
	} {
		if found[name] != want {
			t.Errorf("%s: expected %q, found %q", name, want, found[name])
		}
	}
}
