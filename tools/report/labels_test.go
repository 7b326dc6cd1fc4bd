// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
	"vcpulab/tools/results"
)

// relabel changes what people are shown until the test ends.
func relabel(t *testing.T, change func(string) string) {
	t.Helper()
	for i := range figure.Groups {
		g := &figure.Groups[i]
		was := *g
		was.Operations = slices.Clone(g.Operations)
		t.Cleanup(func() {
			copy(g.Operations, was.Operations)
			g.Title, g.Per, g.Short = was.Title, was.Per, was.Short
		})
		g.Title, g.Per, g.Short = change(g.Title), change(g.Per), change(g.Short)
		for j := range g.Operations {
			if label := g.Operations[j].Label; label != nil {
				g.Operations[j].Label = func(k figure.Key) string { return change(label(k)) }
			}
		}
	}
}

// meaning is what the reports say of each figure, whatever it is called.
type meaning struct {
	Rows         []string // of each group: keys, goals, changes
	Explanations []string
	Drawn        []string // titles of the plots
	Answers      []string
	Goals        string // how many are met
}

func meaningOf(r *results.Results) meaning {
	s := newSheet(r)
	var out meaning
	out.Explanations = s.Explanations()
	for _, g := range s.groups {
		for _, row := range g.rows() {
			for _, m := range s.methods {
				for _, k := range s.against {
					d := s.change(row, cell{m, k})
					out.Rows = append(out.Rows, fmt.Sprintf("%s %s: %s %v %+v", row.key.Name(), m, d, d.Verdict, s.target(row, m)))
				}
			}
		}
	}
	for _, m := range s.methods {
		for _, d := range slices.Concat(s.curvePlots(m, false), s.curvePlots(m, true)) {
			out.Drawn = append(out.Drawn, d.Title)
		}
		for _, a := range s.answers(m) {
			out.Answers = append(out.Answers, fmt.Sprint(a.First, a.Base, a.Others, a.Target))
		}
	}
	c := s.Goals()
	out.Goals = fmt.Sprint(c.Met, c.All, len(c.Missed))
	return out
}

// TestLabelsMeanNothing: whatever people are shown, goals, changes, explanations
// and plots are the same. With another separator in a label the parts of creation
// once had the goal of the whole, and an explanation lost a sentence.
func TestLabelsMeanNothing(t *testing.T) {
	measured := func() *results.Results {
		return withTimes(t, withVariants(t, withStalls(t, withPaths(t, readFixture(t)), "patched")))
	}
	want := meaningOf(measured())
	for name, change := range map[string]func(string) string{
		"another separator": func(s string) string { return strings.ReplaceAll(s, ", ", ": ") },
		"other words":       func(s string) string { return "dense IDs, missing, struct kvm, arch " + s },
		"none":              func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			relabel(t, change)
			if diff := cmp.Diff(want, meaningOf(measured())); diff != "" {
				t.Errorf("labels changed what is said (-expected +found):\n%s", diff)
			}
		})
	}
}

// TestGoals holds the kernels of a real run to what they are to reach, by key.
// The golden tables show the same: this says that they are right.
func TestGoals(t *testing.T) {
	r := readFixture(t)
	s := newSheet(r)
	found := make(map[figure.Key]string)
	for _, g := range s.groups {
		for _, row := range g.rows() {
			found[row.key] = s.target(row, figure.ICount).String()
		}
	}
	vm := func(op figure.Op, vcpus int, ids measure.IDs) figure.Key {
		return figure.VM(op, measure.VM{VCPUs: vcpus, IDs: ids})
	}
	missing := vm(figure.ByID, 1, measure.Dense)
	missing.Missing = true
	for key, want := range map[figure.Key]string{
		vm(figure.Get, 8, measure.Dense):              "<= 18",
		vm(figure.ByID, 1, measure.Dense):             "<= 30",
		missing:                                       "<= 60",
		vm(figure.ByID, 8, measure.Sparse):            "<= 60",
		vm(figure.Walk, 1, measure.Dense):             "<= 6 missed",
		vm(figure.Walk, 8, measure.Dense):             "<= 6",
		vm(figure.Create, 1024, measure.Dense):        "<= 46,000",
		vm(figure.CreateAll, 8, measure.Dense):        "",
		vm(figure.CreateAll, 1024, measure.Sparse):    "<= 48.00 M",
		vm(figure.CreateArch, 1024, measure.Dense):    "",
		vm(figure.CreateWaiting, 1024, measure.Dense): "",
		vm(figure.CreateRest, 1024, measure.Sparse):   "",
		vm(figure.CreateGrowth, 512, measure.Dense):   "<= 1.10",
		vm(figure.CreateWaits, 8, measure.Dense):      "<= 0",
		vm(figure.Memory, 1, measure.Dense):           "<= 0",
		vm(figure.Memory, 8, measure.Dense):           "<= 730",
		vm(figure.Memory, 8, measure.Sparse):          "<= 730 missed",
		{Op: figure.MemoryObject, Object: "kvm"}:      "",
		{Op: figure.SizeOf, Object: "kvm"}:            "<= 6,976",
		{Op: figure.SizeOf, Object: "kvm_vcpu"}:       "",
	} {
		if got, ok := found[key]; !ok || got != want {
			t.Errorf("%s: expected %q, found %q (%v)", key.Name(), want, got, ok)
		}
	}
	r.Kernels[0].RCU = "non-preemptible"
	s = newSheet(r)
	if got := s.target(s.groups[0].rows()[0], figure.ICount).String(); got != "<= 12" {
		t.Errorf("without preemptible RCU: expected <= 12, found %q", got)
	}
}

// TestExplanations: the explanations depend on which figures the sheet has.
func TestExplanations(t *testing.T) {
	for name, tt := range map[string]struct {
		r         *results.Results
		has, lack []string
	}{
		"all": {withStalls(t, withPaths(t, readFixture(t)), ""), []string{
			"Sparse IDs: 3, 7, 11", "The walk's cost includes", "in a VM of 1024 vCPUs", "arch is what kvm_arch_vcpu_create() takes",
			"The last over the first", "Functions that look vCPUs up", "A vCPU exits all the time", "Memory is what the allocators",
		}, []string{"Shuffled IDs", "In user space", "The running kernel", "a thread on a processor of its own"}},
		"races": {withRaces(t, upTo(t, readFixture(t), 8)), []string{"In user space", "a thread on a processor of its own"}, []string{"The last over the first"}},
	} {
		text := strings.Join(newSheet(tt.r).Explanations(), " ")
		for _, want := range tt.has {
			if !strings.Contains(text, want) {
				t.Errorf("%s: expected %q in %s", name, want, text)
			}
		}
		for _, not := range tt.lack {
			if strings.Contains(text, not) {
				t.Errorf("%s: expected no %q in %s", name, not, text)
			}
		}
	}
}

// TestUnexplainedGoals: a walk of one vCPU is known to miss its goal. That of an older
// series whose map took more memory is not.
func TestUnexplainedGoals(t *testing.T) {
	memory := "Memory of what holds a VM's vCPUs, sparse IDs"
	if diff := cmp.Diff([]string{memory}, UnexplainedGoals(readFixture(t))); diff != "" {
		t.Errorf("goals (-want +got):\n%s", diff)
	}

	slow := readFixture(t)
	for i := range slow.Figures {
		if f := &slow.Figures[i]; f.Column == "patched" && f.Key.Op == figure.Get && f.Key.VCPUs == 64 {
			f.Value = 19
		}
	}
	if diff := cmp.Diff([]string{"kvm_get_vcpu() with 64 vCPUs", memory}, UnexplainedGoals(slow)); diff != "" {
		t.Errorf("goals (-want +got):\n%s", diff)
	}
}
