// SPDX-License-Identifier: GPL-2.0-only

package native

import (
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
	// Siblings says that they are threads of one core.
	Siblings bool
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

// choose is Processors, which also chooses one if there is only one, with what it asks the machine for: a name of each
// processor's core, "" if it does not say.
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
