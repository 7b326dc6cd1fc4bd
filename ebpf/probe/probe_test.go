// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
)

func spec(t *testing.T) *ebpf.CollectionSpec {
	t.Helper()
	s, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEvents compares the events in Go with those of the programs, as their
// type information has them: names, sizes, places.
func TestEvents(t *testing.T) {
	types := spec(t).Types
	for name, event := range map[string]any{"loop_event": bpfLoopEvent{}, "create_event": bpfCreateEvent{}} {
		t.Run(name, func(t *testing.T) {
			var c *btf.Struct
			if err := types.TypeByName(name, &c); err != nil {
				t.Fatal(err)
			}
			g := reflect.TypeOf(event)
			if uint64(g.Size()) != uint64(c.Size) {
				t.Errorf("expected %d bytes as in C, found %d", c.Size, g.Size())
			}
			var fields []reflect.StructField
			for i := range g.NumField() {
				if f := g.Field(i); f.Name != "_" {
					fields = append(fields, f)
				}
			}
			if len(fields) != len(c.Members) {
				t.Fatalf("expected %d members as in C, found %d", len(c.Members), len(fields))
			}
			for i, m := range c.Members {
				f := fields[i]
				size, err := btf.Sizeof(m.Type)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.EqualFold(strings.ReplaceAll(m.Name, "_", ""), f.Name) || uint64(m.Offset.Bytes()) != uint64(f.Offset) || uint64(size) != uint64(f.Type.Size()) {
					t.Errorf("expected %s, %d bytes at %d, as in C, found %s, %d bytes at %d",
						m.Name, size, m.Offset.Bytes(), f.Name, f.Type.Size(), f.Offset)
				}
			}
		})
	}
}

// TestPrograms looks whether each group has its programs, attached to the
// functions that it says.
func TestPrograms(t *testing.T) {
	programs := spec(t).Programs
	kernel := map[string]string{ // of those whose name is another
		"nop": "vcpuloops_nop", "get": "vcpuloops_get", "by_id": "vcpuloops_by_id", "walk": "vcpuloops_walk",
		"vm_ioctl": "kvm_vm_ioctl", "arch_create": "kvm_arch_vcpu_create",
	}
	known := 0
	for _, name := range append(append([]string{}, loopFuncs...), createFuncs...) {
		to := kernel[name]
		if to == "" {
			to = name
		}
		for suffix, attach := range map[string]ebpf.AttachType{"_entry": ebpf.AttachTraceFEntry, "_exit": ebpf.AttachTraceFExit} {
			p := programs[name+suffix]
			if p == nil {
				t.Errorf("expected a program %s, found none", name+suffix)
				continue
			}
			known++
			if p.Type != ebpf.Tracing || p.AttachType != attach || p.AttachTo != to || p.License != "GPL" {
				t.Errorf("%s: expected %v of %s, found %v, %v of %s", name+suffix, attach, to, p.Type, p.AttachType, p.AttachTo)
			}
		}
	}
	if known != len(programs) {
		t.Errorf("expected each program in a group, found %d of %d", known, len(programs))
	}
}

// TestComplete: what a probe missed is no result.
func TestComplete(t *testing.T) {
	for name, tt := range map[string]struct {
		lost    uint64
		skipped map[string]uint64
		says    string // "" if nothing was missed
	}{
		"all seen":       {0, map[string]uint64{"get_entry": 0, "get_exit": 0}, ""},
		"an event lost":  {3, nil, "3 events found no room"},
		"calls skipped":  {0, map[string]uint64{"get_entry": 0, "get_exit": 2}, "get_exit skipped 2 calls"},
		"all went wrong": {1, map[string]uint64{"get_exit": 2}, "1 events found no room"},
	} {
		t.Run(name, func(t *testing.T) {
			err := complete(tt.lost, tt.skipped)
			if tt.says == "" && err != nil || tt.says != "" && (!errors.Is(err, ErrMissed) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("expected %q, found %v", tt.says, err)
			}
		})
	}
}

// TestWaits compares the names of the functions that wait with the enum in C,
// by what each program counts.
func TestWaits(t *testing.T) {
	source, err := os.ReadFile("probe.bpf.c")
	if err != nil {
		t.Fatal(err)
	}
	enum := regexp.MustCompile(`(?s)enum wait \{(.*?)\}`).FindSubmatch(source)
	if enum == nil {
		t.Fatal("probe.bpf.c: expected an enum wait, found none")
	}
	values := strings.FieldsFunc(string(enum[1]), func(r rune) bool { return r == ',' || r == '\n' || r == '\t' || r == ' ' })
	if len(values) != int(NumWaits)+1 || values[NumWaits] != "NR_WAITS" {
		t.Fatalf("expected %d ways to wait and NR_WAITS, found %v", NumWaits, values)
	}
	counts := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^WAIT\((\w+), (\w+)\)$`).FindAllStringSubmatch(string(source), -1) {
		counts[m[2]] = m[1]
	}
	for w, name := range measure.Waits {
		if got := counts[values[w]]; got != name {
			t.Errorf("%s: expected %s as in Go, found %s", values[w], name, got)
		}
	}
}

// TestCreate adds what a probe saw, and sends it as a guest does.
func TestCreate(t *testing.T) {
	first := Creation{Time: 40 * time.Microsecond, ArchTime: 20 * time.Microsecond}
	second := Creation{Time: time.Millisecond, ArchTime: 21 * time.Microsecond}
	second.Waits[2], second.WaitTime[2] = 2, 900*time.Microsecond
	third := second
	third.Waits[1], third.WaitTime[1] = 1, time.Microsecond

	c := measure.Create{VM: measure.VM{VCPUs: 3, IDs: measure.Dense}}
	first.AddTo(&c)
	if c.Waits != nil || c.WaitNanos != nil {
		t.Errorf("expected no waits where nothing was waited for, found %v", c.Waits)
	}
	second.AddTo(&c)
	third.AddTo(&c)
	want := measure.Create{
		VM:        measure.VM{VCPUs: 3, IDs: measure.Dense},
		Nanos:     []int64{40_000, 1_000_000, 1_000_000},
		ArchNanos: []int64{20_000, 21_000, 21_000},
		Waits:     map[string]uint64{"synchronize_srcu": 4, "synchronize_rcu_expedited": 1},
		WaitNanos: map[string]int64{"synchronize_srcu": 1_800_000, "synchronize_rcu_expedited": 1_000},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("creations (-expected +found):\n%s", diff)
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back measure.Create
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, back); diff != "" {
		t.Errorf("after JSON (-expected +found):\n%s", diff)
	}
}
