// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/native"
	"vcpulab/tools/results"
)

// TestNativeAgain measures with a program that is made up: each pass takes 100 ns,
// but for a process that is disturbed all the time.
func TestNativeAgain(t *testing.T) {
	const script = `#!/bin/sh
echo x >>"$0.started"
[ $(wc -l <"$0.started") -gt BAD ]
calm=$?
while read what op passes rest; do
	if [ $what = vm ]; then echo ok
	elif [ $calm = 0 ]; then echo $((passes * 100))
	else echo $((passes * 100 + 5000))
	fi
done
`
	for name, tt := range map[string]struct {
		bad       string // how many processes are disturbed
		good      bool
		discarded int
	}{
		"calm":                   {"0", true, 0},
		"disturbed at first":     {"2", true, 2},
		"disturbed all the time": {"99", false, 4},
	} {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "program")
			if err := os.WriteFile(program, []byte(strings.Replace(script, "BAD", tt.bad, 1)), 0o755); err != nil {
				t.Fatal(err)
			}
			plan := NewPlan(results.Native, Axes{Sizes: []int{2}, IDs: []measure.IDs{measure.Dense}})
			plan.Params.LoopNanos = 4000 // 16 passes
			plan.Params.Cycles, plan.Params.Caches = false, nil
			n := &Native{
				Candidates: []Candidate{{Built: &kbuild.Kernel{}}},
				programs:   []string{program},
			}
			boot, discarded, err := tryBoot(t.Context(), n, plan, boot{Which: results.Which{Kernel: "base", Method: plan.Method}}, nil)
			if tt.good && err != nil {
				t.Fatal(err)
			}
			if !tt.good && (!errors.Is(err, results.ErrInvalid) || !strings.Contains(err.Error(), "discarded 4 times")) {
				t.Errorf("expected it to be discarded, found %v", err)
			}
			if len(discarded) != tt.discarded {
				t.Errorf("expected %d processes to be discarded, found %+v", tt.discarded, discarded)
			}
			for _, d := range discarded {
				if d.Method != results.Native || !strings.Contains(d.Why, "2N passes cost") {
					t.Errorf("expected the reason, found %+v", d)
				}
			}
			if want := len(plan.Params.LoopsOf(plan.Params.VMs[0])); tt.good && len(boot.Loops) != want {
				t.Errorf("expected %d loops, found %d", want, len(boot.Loops))
			}
		})
	}
}

// TestOmit leaves out what the machine cannot do, and says so.
func TestOmit(t *testing.T) {
	one := func() (native.Pair, error) { return native.Pair{}, fmt.Errorf("%w: one", native.ErrProcessors) }
	two := func() (native.Pair, error) { return native.Pair{Creator: 1}, nil }
	threads := func() (native.Pair, error) { return native.Pair{Creator: 1, Siblings: true}, nil }
	counted := func() error { return nil }
	uncounted := func() error { return fmt.Errorf("%w: no", native.ErrCycles) }
	none := DefaultAxes
	none.Readers = 0
	const created, written = "lookups while vCPUs are created: ", "walks and lookups after another processor wrote to the vCPUs: "
	for name, tt := range map[string]struct {
		axes            Axes
		processors      func() (native.Pair, error)
		cycles          func() error
		readers, counts bool
		states          int
		said            []string
	}{
		"everything":    {DefaultAxes, two, counted, true, true, 3, nil},
		"one processor": {DefaultAxes, one, counted, false, true, 2, []string{created + "too few processors: one", written + "too few processors: one"}},
		"no counters":   {DefaultAxes, two, uncounted, true, false, 3, []string{"cycles: cycles cannot be counted: no"}},
		"no readers":    {none, one, counted, false, true, 2, []string{written + "too few processors: one"}},
		"one core": {DefaultAxes, threads, counted, true, true, 2,
			[]string{written + "processors share their caches: expected two cores, found two threads of one"}},
		"neither": {DefaultAxes, one, uncounted, false, false, 2,
			[]string{created + "too few processors: one", written + "too few processors: one", "cycles: cycles cannot be counted: no"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPlan(results.Native, tt.axes)
			var said []string
			for _, o := range p.omit(tt.processors, tt.cycles) {
				said = append(said, o.What+": "+o.Why)
			}
			if n := len(p.Params.Caches.States); n != tt.states || slices.Contains(p.Params.Caches.States, measure.Written) != (n == 3) {
				t.Errorf("expected %d states, found %v", tt.states, p.Params.Caches.States)
			}
			if (p.Params.Readers != nil) != tt.readers || p.Params.Cycles != tt.counts || !slices.Equal(said, tt.said) {
				t.Errorf("expected %v, %v, %q, found %+v, %v, %q", tt.readers, tt.counts, tt.said, p.Params.Readers, p.Params.Cycles, said)
			}
		})
	}
}
