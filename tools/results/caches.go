// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"fmt"
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
	"vcpulab/tools/figure"
)

// What a sample of the caches has to hold to. A line that was written elsewhere, or
// is in no cache, takes longer to load than one in the caches by so many nanoseconds;
// the processor's speed, and the counter that times are taken from, keep to so much.
const (
	writtenAfter = 10
	flushedAfter = 30
	steadyPace   = 0.02
	steadyClock  = 0.001
)

// orderly is of how many vCPUs on the order in memory is looked at, and mixed how
// many steps of a random one go up at least, and down.
const (
	orderly = 8
	mixed   = 0.1
)

// cachedValues draws the figures of walks and lookups by the state of the caches.
func cachedValues(c measure.Cached) ([]value, error) {
	if err := checkCached(c); err != nil {
		return nil, err
	}
	var out []value
	own := Median(c.Own)
	for _, v := range c.Visits {
		key := figure.VM(figure.Cached, c.VM)
		key.Lookup, key.Body, key.State = v.Op, v.Body, v.State
		each := 1
		if v.Op == measure.Walk {
			each = c.VM.VCPUs
		}
		// What takes hardly any time may seem to take less than none.
		out = append(out, counted(key, max(Median(v.Nanos)-own, 0)/float64(each)))
	}
	for i, s := range measure.States {
		if s != measure.Written || c.Writer >= 0 {
			key := figure.VM(figure.CachedLine, c.VM)
			key.State = s
			out = append(out, counted(key, max(c.Lines[i].VCPU, 0)))
		}
	}
	return out, nil
}

// checkCached tells whether the lines were in the states that they should be in, and
// nothing spoiled the times.
func checkCached(c measure.Cached) error {
	complete := len(c.Lines) == len(measure.States) && len(c.Own) > 0
	for _, v := range c.Visits {
		complete = complete && len(v.Nanos) == len(c.Own) && slices.Min(v.Nanos) > 0 && slices.Contains(measure.States, v.State)
	}
	if !complete || len(c.Visits) == 0 || c.Rates[0] <= 0 || c.Paces[0] <= 0 {
		return expect(false, "caches of %v: expected times of walks and lookups in each block, found %d of them in %d blocks",
			c.VM, len(c.Visits), len(c.Own))
	}

	// All that is wrong is said: what spoiled the times must not hide that lines
	// were not in their states.
	var faults []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	hot, written, flushed := c.Lines[0], c.Lines[1], c.Lines[2]
	check(c.Moved == 0, "%d times were taken on another processor than %d", c.Moved, c.Reader)
	check(c.Rates[1]/c.Rates[0] <= 1+steadyClock, "the time stamp counter made %.6f to %.6f ticks a nanosecond: expected the same within %.1f %%",
		c.Rates[0], c.Rates[1], steadyClock*100)
	check(c.Paces[1]/c.Paces[0] <= 1+steadyPace, "the same work took %.0f to %.0f ns: expected the processor to keep its frequency within %.0f %%",
		c.Paces[0], c.Paces[1], steadyPace*100)
	check(flushed.VCPU >= hot.VCPU+flushedAfter, "a vCPU's line that was flushed is loaded in %.1f ns, one in the caches in %.1f: expected %d more",
		flushed.VCPU, hot.VCPU, flushedAfter)
	check(flushed.Container >= hot.Container+flushedAfter, "a line of the container that was flushed is loaded in %.1f ns, one in the caches in %.1f: expected %d more",
		flushed.Container, hot.Container, flushedAfter)
	check(c.Writer < 0 || written.VCPU >= hot.VCPU+writtenAfter, "a vCPU's line that processor %d wrote is loaded in %.1f ns, one in the caches in %.1f: expected %d more",
		c.Writer, written.VCPU, hot.VCPU, writtenAfter)
	if n := c.VM.VCPUs; n >= orderly {
		steps := (n - 1) * len(c.Own)
		up := float64(c.Ascending) / float64(steps)
		check(up > mixed && up < 1-mixed, "%d of %d steps from one vCPU to the next go up in memory: expected a random order", c.Ascending, steps)
	}
	return expect(len(faults) == 0, "caches of %v: %s", c.VM, strings.Join(faults, "; "))
}
