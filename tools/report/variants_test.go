// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/results"
)

// withVariants adds kernels to a real run: a milestone between the baseline and
// the whole series, and an array behind it whose lookups take two instructions
// less. Both are made up of the patched kernel's samples.
func withVariants(t testing.TB, r *results.Results) *results.Results {
	t.Helper()
	list, array := r.Kernels[1], r.Kernels[1]
	list.Name, list.About = "list", "milestone: a list for walks"
	array.Name, array.About, array.Limit = "fixed-array", "comparator: an array", true
	r.Kernels = []results.Kernel{r.Kernels[0], list, r.Kernels[1], array}
	for _, b := range slices.Clone(r.Boots) {
		if b.Kernel != "patched" {
			continue
		}
		b.Kernel = list.Name
		r.Boots = append(r.Boots, b)
		b.Kernel = array.Name
		b.Loops = slices.Clone(b.Loops)
		for i, l := range b.Loops {
			if l.Op == measure.Nop {
				continue
			}
			n := int64(2 * l.Numbers * l.Passes)
			less := func(in []int64, n int64) []int64 {
				var out []int64
				for _, v := range in {
					out = append(out, v-n)
				}
				return out
			}
			b.Loops[i].Once, b.Loops[i].Twice = less(l.Once, n), less(l.Twice, 2*n)
		}
		r.Boots = append(r.Boots, b)
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestVariants shows them in a table of their own; the first one compares the
// whole series with the baseline, and with the limit.
func TestVariants(t *testing.T) {
	r := withVariants(t, upTo(t, readFixture(t), 64))
	golden(t, "variants.txt", render(t, "table", r))
	golden(t, "variants.md", render(t, "markdown", r))
	page := string(render(t, "html", r))
	for i := range r.Kernels {
		if class := `<g class="k` + strconv.Itoa(i) + `">`; !strings.Contains(page, class) {
			t.Errorf("no line of kernel %d", i)
		}
	}
	for _, want := range []string{
		`<th scope="col" class="n">list</th><th scope="col" class="n">patched</th><th scope="col" class="n">fixed-array</th></tr>`,
		`<dt>list</dt><dd>milestone: a list for walks</dd>`,
		`">10</a></td>`, // the limit, which was measured
		`<td class="goal worse" data-of="goal">≤ 6, missed at 1</td>`,
		"Limit: what fixed-array takes to look vCPUs up by index",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("expected %s in the page, found none", want)
		}
	}
	if n := strings.Count(page, `<th scope="col">limit, goal</th>`); n != 2 {
		t.Errorf("expected a column of limits in both tables of answers, found %d", n)
	}
}

// More kernels than there are colours are drawn, the last ones like the first.
func TestVariantsWithoutColours(t *testing.T) {
	r := upTo(t, readFixture(t), 8)
	for i := range 8 {
		k := r.Kernels[1]
		k.Name = "k" + strconv.Itoa(i)
		r.Kernels = append(r.Kernels, k)
		for _, b := range r.Boots {
			if b.Kernel == "patched" {
				b.Kernel = k.Name
				r.Boots = append(r.Boots, b)
			}
		}
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	page := string(render(t, "html", r))
	if strings.Contains(page, `class="k8"`) || !strings.Contains(page, `class="k7"`) {
		t.Error("expected colours from k0 to k7")
	}
}

// TestWithoutPatched compares each kernel with the baseline where none is the
// one that the results are about; there are no goals then.
func TestWithoutPatched(t *testing.T) {
	r := withVariants(t, upTo(t, readFixture(t), 8))
	i := slices.IndexFunc(r.Kernels, func(k results.Kernel) bool { return k.Name == "patched" })
	r.Kernels = slices.Delete(r.Kernels, i, i+1)
	r.Boots = slices.DeleteFunc(r.Boots, func(b results.Boot) bool { return b.Kernel == "patched" })
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	head := strings.SplitN(string(render(t, "table", r)), "kvm_get_vcpu()", 2)[0]
	if strings.Count(head, "change") != 2 || strings.Contains(head, "goal") {
		t.Errorf("expected a column of changes for each kernel and none of limits, found:\n%s", head)
	}
}

// TestNative shows times of user space: processes instead of boots, and limits
// with their decimals.
func TestNative(t *testing.T) {
	r := withVariants(t, upTo(t, readFixture(t), 8))
	for i := range r.Boots {
		r.Boots[i].Method, r.Boots[i].Creates, r.Boots[i].Memory = results.Native, nil, nil
		for j, l := range r.Boots[i].Loops {
			third := func(in []int64) []int64 {
				var out []int64
				for _, v := range in {
					out = append(out, v/3)
				}
				return out
			}
			r.Boots[i].Loops[j].Once, r.Boots[i].Loops[j].Twice = third(l.Once), third(l.Twice)
		}
	}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	golden(t, "table-native.txt", render(t, "table", r))
	var mail bytes.Buffer
	if err := Mail(&mail, r); err != nil {
		t.Fatal(err)
	}
	golden(t, "mail-native.txt", mail.Bytes())
	if page := string(render(t, "html", r)); !strings.Contains(page, "Nanoseconds in user space, medians; 1 process of each kernel.") {
		t.Error("expected the page to say what a process is")
	}
}
