// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vcpulab/ebpf/measure"
)

// ErrShared means that the only two processors share their caches, so that neither
// can own a line that the other does not have.
var ErrShared = errors.New("processors share their caches")

// Writer says on which processors walks can be measured while another one writes.
// The error says why on none.
func Writer(processors func() (Pair, error)) (Pair, error) {
	p, err := processors()
	if err == nil && p.Siblings {
		err = fmt.Errorf("%w: expected two cores, found two threads of one", ErrShared)
	}
	return p, err
}

// noWriter is what the program is told if there is none.
const noWriter = -1

// caches measures the VM that was built last in all states that are asked for.
func (m *meter) caches(vm measure.VM, p Pair) (measure.Cached, error) {
	with := *m.params.Caches
	out := measure.Cached{VM: vm, Reader: p.Reader, Writer: noWriter}
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
