// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/vm"
)

func named(names ...string) []Test {
	var tests []Test
	for _, n := range names {
		tests = append(tests, Test{Name: n})
	}
	return tests
}

// took returns the results of tests that took so many seconds.
func took(seconds map[string]float64) []Result {
	var all []Result
	for name, s := range seconds {
		all = append(all, Result{Name: name, Outcome: Pass, Seconds: s})
	}
	return all
}

func names(tests []Test) string {
	var all []string
	for _, t := range tests {
		all = append(all, t.Name)
	}
	return strings.Join(all, " ")
}

func TestQueue(t *testing.T) {
	six := named("kvm_binary_stats_test", "kvm_create_max_vcpus", "x86/max_vcpuid_cap_test",
		"x86/recalc_apic_map_test", "x86/set_boot_cpu_id", "x86/xapic_ipi_test")
	var many []Test
	expect := map[string]float64{}
	for i := range 100 {
		name := fmt.Sprintf("t%02d", i)
		many = append(many, Test{Name: name})
		expect[name] = float64(i + 1)
	}
	tests := map[string]struct {
		tests  []Test
		guests int
		opts   Options
		want   []string // the batches; nil not to look
	}{
		"none": {nil, 2, Options{}, []string{}},
		"the six of continuous integration": {six, 2, Options{}, []string{
			"kvm_create_max_vcpus",
			"x86/recalc_apic_map_test x86/xapic_ipi_test x86/set_boot_cpu_id kvm_binary_stats_test x86/max_vcpuid_cap_test",
		}},
		"known times": {named("a", "b", "c"), 1, Options{Elsewhere: took(map[string]float64{"a": 1, "b": 30, "c": 20})}, []string{"b", "c a"}},
		"the times of the last run": {named("a", "b", "c"), 1, Options{History: History{"a": {1, true, nil}, "b": {30, false, nil}}, Elsewhere: took(map[string]float64{"c": 20})},
			[]string{"b", "c a"}},
		"in order":        {named("a", "b", "rseq_test", "c"), 1, Options{InOrder: true, Elsewhere: took(map[string]float64{"c": 60})}, []string{"a b rseq_test c"}},
		"endless first":   {named("kvm_create_max_vcpus", "a", "rseq_test"), 2, Options{}, []string{"rseq_test", "kvm_create_max_vcpus a"}},
		"another machine": {append(named("a"), Test{Name: "b", Machine: "m"}, Test{Name: "c"}), 1, Options{}, []string{"a c", "b"}},
		"many":            {many, 2, Options{Elsewhere: took(expect)}, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			q := newQueue(tc.tests, tc.guests, tc.opts)
			got := []string{}
			count := 0
			for batch := q.next(); len(batch) > 0; batch = q.next() {
				got = append(got, names(batch))
				count += len(batch)
			}
			if count != len(tc.tests) {
				t.Errorf("expected %d tests, found %d", len(tc.tests), count)
			}
			if tc.want != nil {
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestQueuePutBack(t *testing.T) {
	q := newQueue(named("a", "b", "c"), 1, Options{Elsewhere: took(map[string]float64{"a": 60, "b": 50, "c": 40})})
	first := q.next()
	q.putBack(named("x", "y"))
	if got := names(first) + ", " + names(q.tests); got != "a b, x y c" {
		t.Errorf("expected a b, x y c, found %s", got)
	}
}

func TestLimit(t *testing.T) {
	known := append(took(map[string]float64{"quick": 0.5, "slow": 30, "rseq_test": 20}), Result{Name: "hung", Outcome: Timeout, Seconds: 240})
	last := History{"quick": {0.5, true, nil}, "slow": {100, true, nil}, "hung": {240, false, nil}}
	tests := map[string]struct {
		opts Options
		test string
		want time.Duration
	}{
		"unknown, TCG":                   {Options{}, "a", limitTCG},
		"unknown, KVM":                   {Options{Accel: vm.KVM}, "a", limitKVM},
		"unknown, asked for":             {Options{Limit: 5 * time.Minute}, "a", 5 * time.Minute},
		"usually slow":                   {Options{}, "x86/kvm_create_max_vcpus", 400 * time.Second},
		"endless, TCG":                   {Options{}, "rseq_test", limitEndless},
		"endless, with a directory":      {Options{}, "x86/rseq_test", limitEndless},
		"endless, KVM":                   {Options{Accel: vm.KVM}, "rseq_test", limitKVM},
		"endless, debug kernel":          {Options{Limit: 40 * time.Minute}, "rseq_test", limitEndless},
		"endless, but ended on the base": {Options{Elsewhere: known}, "rseq_test", 200 * time.Second},
		"quick the last time":            {Options{History: last}, "quick", limitTCG},
		"slow the last time":             {Options{History: last}, "slow", 300 * time.Second},
		"hung the last time":             {Options{History: last}, "hung", limitTCG},
		"slow, known better":             {Options{History: last, Elsewhere: known}, "slow", 300 * time.Second},
		"known to be quick":              {Options{Elsewhere: known}, "quick", limitKnown},
		"known to be slow":               {Options{Elsewhere: known}, "slow", 300 * time.Second},
		"hung elsewhere":                 {Options{Elsewhere: known}, "hung", limitTCG},
		"quick, less asked for":          {Options{Elsewhere: known, Limit: 10 * time.Second}, "quick", 10 * time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.opts.limit(tc.test); got != tc.want {
				t.Errorf("expected %v, found %v", tc.want, got)
			}
		})
	}
}
