// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

func spec(t *testing.T) *ebpf.CollectionSpec {
	t.Helper()
	s, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTypes compares the types in Go with those of the programs, as their type
// information has them: names, sizes, offsets.
func TestTypes(t *testing.T) {
	types := spec(t).Types
	for name, v := range map[string]any{
		"loop_event": bpfLoopEvent{}, "span": bpfSpan{}, "thread": bpfThread{}, "gaps": bpfGaps{},
	} {
		t.Run(name, func(t *testing.T) {
			var c *btf.Struct
			if err := types.TypeByName(name, &c); err != nil {
				t.Fatal(err)
			}
			g := reflect.TypeOf(v)
			fields := slices.DeleteFunc(reflect.VisibleFields(g), func(f reflect.StructField) bool { return f.Name == "_" })
			if uint64(g.Size()) != uint64(c.Size) || len(fields) != len(c.Members) {
				t.Fatalf("expected %d bytes and %d members as in C, found %d and %d", c.Size, len(c.Members), g.Size(), len(fields))
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

// TestNames compares the names of functions in Go with what the programs count, by
// the enumerations in C.
func TestNames(t *testing.T) {
	source, err := os.ReadFile("spans.bpf.h")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		macro string
		names []string
		count int
	}{
		"wait":     {"WAIT", measure.Waits[:], int(bpfWaitNR_WAITS)},
		"deferral": {"DEFER", measure.Deferrals[:], int(bpfDeferralNR_DEFERRALS)},
	} {
		var enum *btf.Enum
		if err := spec(t).Types.TypeByName(name, &enum); err != nil {
			t.Fatal(err)
		}
		counts := make(map[string]string)
		for _, m := range regexp.MustCompile(`(?m)^`+tt.macro+`\((\w+), (\w+)\)$`).FindAllStringSubmatch(string(source), -1) {
			counts[m[2]] = m[1]
		}
		if tt.count != len(tt.names) || len(counts) != tt.count {
			t.Errorf("enum %s: expected %d functions, found %d in C", name, len(tt.names), len(counts))
		}
		for i, want := range tt.names {
			if got := counts[enum.Values[i].Name]; got != want {
				t.Errorf("%s: expected %s as in Go, found %s", enum.Values[i].Name, want, got)
			}
		}
	}
	if n := spec(t).Maps[bpfMapPhases].MaxEntries; n != measure.MaxPhases {
		t.Errorf("expected %d phases, found %d", measure.MaxPhases, n)
	}
	if n := spec(t).Variables[bpfVarCallNanos].Size(); n != 8*measure.MaxCalls {
		t.Errorf("expected room for %d calls, found %d bytes", measure.MaxCalls, n)
	}
}

// groups are all groups, with the maps that they need.
var groups = map[*Group][]string{
	&Creations: {".bss", "events", "threads"},
	&Lookups:   {".bss", "events", "threads"},
	&Stalls:    {".bss", "events", "phases", "threads"},
	&Paths:     {".bss"},
	&function:  {".bss", "events", "function_starts"},
}

// TestGroups looks whether each program is in a group, whether what is at an end is
// attached before what is at the beginning, and whether a group has its maps alone.
func TestGroups(t *testing.T) {
	// Programs of functions whose name is another.
	functions := map[string]string{
		"nop": "vcpuloops_nop", "get": "vcpuloops_get", "by_id": "vcpuloops_by_id", "walk": "vcpuloops_walk",
		"function": EmptyFunction,
		"vm_ioctl": "kvm_vm_ioctl", "arch_create": "kvm_arch_vcpu_create", "vcpu_halt": "kvm_vcpu_halt",
	}
	used := make(map[string]bool)
	for g, maps := range groups {
		s := spec(t)
		if err := choose(s, *g); err != nil {
			t.Fatal(err)
		}
		if len(s.Maps) != len(maps) {
			t.Errorf("%s: expected the maps %v, found %v", g.name, maps, s.Maps)
		}
		for _, name := range maps {
			if s.Maps[name] == nil {
				t.Errorf("%s: expected a map %s, found none", g.name, name)
			}
		}

		position := make(map[string]int)
		for i, name := range g.programs {
			used[name], position[name] = true, i
			p := s.Programs[name]
			if p.AttachTo == "" || p.License != "GPL" || p.Type != ebpf.Tracing && p.Type != ebpf.RawTracepoint {
				t.Errorf("%s: expected a program that can be attached, found %v of %q", name, p.Type, p.AttachTo)
			}
			for suffix, attach := range map[string]ebpf.AttachType{entrySuffix: ebpf.AttachTraceFEntry, exitSuffix: ebpf.AttachTraceFExit} {
				f, ok := strings.CutSuffix(name, suffix)
				if !ok || p.Type != ebpf.Tracing {
					continue
				}
				if functions[f] != "" {
					f = functions[f]
				}
				if p.AttachType != attach || p.AttachTo != f {
					t.Errorf("%s: expected %v of %s, found %v of %s", name, attach, f, p.AttachType, p.AttachTo)
				}
			}
		}
		ends := map[string]string{"vcpu_entry": "vcpu_exit", "contention_end": "contention_begin"}
		for name := range position {
			if f, ok := strings.CutSuffix(name, exitSuffix); ok && position[f+entrySuffix] != 0 && f != "vcpu" {
				ends[name] = f + entrySuffix
			}
		}
		for end, beginning := range ends {
			if position[end] > position[beginning] {
				t.Errorf("%s: expected %s to be attached before %s", g.name, end, beginning)
			}
		}
	}
	for name := range spec(t).Programs {
		if !used[name] {
			t.Errorf("%s is in no group", name)
		}
	}
	if err := choose(spec(t), Group{"test", []string{"no_such_program"}}); err == nil {
		t.Error("a group with an unknown program was accepted")
	}
}

// TestCheckMissed: there is no result if a probe missed something.
func TestCheckMissed(t *testing.T) {
	for name, tt := range map[string]struct {
		lost    uint64
		skipped map[string]uint64
		says    string // "" if nothing was missed
	}{
		"nothing":       {0, map[string]uint64{"get_entry": 0, "get_exit": 0}, ""},
		"ring full":     {3, nil, "3 events found no room"},
		"calls skipped": {0, map[string]uint64{"get_entry": 0, "get_exit": 2}, "get_exit skipped 2 calls"},
		"both":          {1, map[string]uint64{"sched_switch": 1}, "1 events found no room, sched_switch skipped 1 calls"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkMissed(tt.lost, tt.skipped)
			if tt.says == "" && err != nil || tt.says != "" && (!errors.Is(err, wire.ErrProbeMissed) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("expected %q, found %v", tt.says, err)
			}
		})
	}
}

// TestSymbols names functions, and leaves out those of eBPF.
func TestSymbols(t *testing.T) {
	s, err := ReadSymbols(strings.NewReader(`ffffffff81000200 T schedule
ffffffff81000100 t __schedule
ffffffff81000180 d data_between
ffffffff81000300 T bpf_trace_run4
ffffffffa0000000 t kvm_vm_ioctl	[kvm]
ffffffffa0010000 t bpf_trampoline_6442494726	[bpf]
`))
	if err != nil {
		t.Fatal(err)
	}
	got := s.Names([]uint64{0xffffffff81000310, 0xffffffff81000101, 0xffffffff81000200, 0xffffffff81000201, 0xffffffffa0000500, 0xffffffffa0010100, 0x10})
	// 0x...200 is the return address of a call that ends __schedule.
	want := []string{"__schedule", "__schedule", "schedule", "kvm_vm_ioctl", "0x10"}
	if !slices.Equal(got, want) {
		t.Errorf("expected %v, found %v", want, got)
	}
	if _, err := ReadSymbols(strings.NewReader("nonsense T schedule\n")); err == nil {
		t.Error("nonsense was taken for symbols")
	}
}

// FuzzReadSymbols: symbols are in order, and each is found by its address.
func FuzzReadSymbols(f *testing.F) {
	f.Add("ffffffff81000200 T schedule\nffffffff81000100 t __schedule\n1 d data\nffffffffa0000000 t kvm_vm_ioctl\t[kvm]\n")
	f.Add("0 w a\n0 W b\nnonsense T c\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadSymbols(strings.NewReader(text))
		if err != nil && s != nil || len(s) > strings.Count(text, "\n")+1 {
			t.Errorf("%d symbols of %q, %v", len(s), text, err)
		}
		for i, symbol := range s {
			if symbol.name == "" || i > 0 && symbol.address < s[i-1].address || len(s.Names([]uint64{symbol.address, symbol.address + 1})) > 2 {
				t.Errorf("symbol %d: %+v after %+v", i, symbol, s[max(i-1, 0)])
			}
		}
	})
}
