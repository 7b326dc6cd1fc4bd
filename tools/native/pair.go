// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
)

// ErrProcessors means that there are fewer than two processors, so that vCPUs cannot
// be looked up while another thread creates them.
var ErrProcessors = errors.New("too few processors")

// Pair is two processors.
type Pair struct {
	Reader, Creator int
	Siblings        bool // they are threads of one core
}

// Processors chooses two that this process may run on, of different cores if
// there are any.
func Processors() (Pair, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return Pair{}, fmt.Errorf("which processors there are: %w", err)
	}
	var all []int
	for cpu := 0; len(all) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return choose(all, core)
}

// choose is Processors, with what it asks the machine for: a name of each processor's
// core, "" if it does not say. If there is only one it chooses that, too.
func choose(all []int, core func(int) string) (Pair, error) {
	if len(all) < 2 {
		return Pair{Reader: slices.Max(append(all, 0))}, fmt.Errorf("%w: expected 2 that this process may run on, found %d", ErrProcessors, len(all))
	}
	same := core(all[0])
	for _, cpu := range all[1:] {
		if same == "" || core(cpu) != same {
			return Pair{Reader: all[0], Creator: cpu}, nil
		}
	}
	return Pair{Reader: all[0], Creator: all[1], Siblings: true}, nil
}

// core is what sysfs says of a processor's core: the list of its threads.
func core(cpu int) string {
	threads, _ := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
	return string(threads)
}

// Writer says why, with what Processors has returned, walks cannot be measured while another
// processor writes: of one core, neither can own a line that the other does not have.
func Writer(p Pair, err error) error {
	if err == nil && p.Siblings {
		return errors.New("processors share their caches: expected two cores, found two threads of one")
	}
	return err
}

const noWriter = -1 // what the program is told if there is none

// cached has a VM built, and measures it in all states of the caches that are asked for.
func (m *meter) cached(vm measure.VM, p Pair) (measure.Cached, error) {
	with := *m.params.Caches
	out := measure.Cached{VM: vm, Reader: p.Reader, Writer: noWriter}
	if err := m.build(vm); err != nil {
		return out, err
	}
	if slices.Contains(with.States, measure.Written) {
		out.Writer = p.Creator
	}
	visits := with.VisitsOf(vm)
	var list strings.Builder
	for _, v := range visits {
		fmt.Fprintf(&list, " %d %d %d", slices.Index(measure.Ops, v.Op), max(slices.Index(measure.Bodies, v.Body), 0), slices.Index(measure.States, v.State))
	}
	answer, err := m.ask("caches %d %d %d %d%s", out.Reader, out.Writer, with.BlocksOf(vm), len(visits), list.String())
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal([]byte(answer), &out); err != nil {
		return out, fmt.Errorf("expected what was measured of caches, found %q: %w", answer, err)
	}
	if len(out.Visits) != len(visits) {
		return out, fmt.Errorf("expected times of %d walks and lookups, found %d", len(visits), len(out.Visits))
	}
	for i, v := range visits {
		out.Visits[i].Visit = v
	}
	return out, nil
}

// race has VMs grow while vCPUs are looked up in them.
func (m *meter) race(r *measure.Race, p Pair) error {
	r.Reader, r.Creator, r.Siblings = p.Reader, p.Creator, p.Siblings
	with := *m.params.Readers
	answer, err := m.ask("race %d %d %d %d %d %d%s", slices.Index(measure.Ops, r.Op), with.Growths, with.RunNanos,
		p.Reader, p.Creator, r.VM.VCPUs, numbers(r.VM.IDs.Of(r.VM.VCPUs)))
	if err != nil {
		return err
	}
	fields := strings.Fields(answer)
	const each = 4
	if len(fields) != each*with.Growths+2 {
		return fmt.Errorf("expected %d numbers a growth of %d, and 2 more, found %q", each, with.Growths, answer)
	}
	for g := range with.Growths {
		for i, to := range []*[]float64{&r.Alone, &r.AloneOwn, &r.Beside, &r.BesideOwn} {
			v, err := strconv.ParseFloat(fields[each*g+i], 64)
			if err != nil || !(v >= 0) {
				return fmt.Errorf("expected nanoseconds, found %q", fields[each*g+i])
			}
			*to = append(*to, v)
		}
	}
	for i, to := range []*int64{&r.Create, &r.CreateBeside} {
		if *to, err = strconv.ParseInt(fields[each*with.Growths+i], 10, 64); err != nil {
			return fmt.Errorf("expected nanoseconds, found %q", fields[each*with.Growths+i])
		}
	}
	return nil
}
