// SPDX-License-Identifier: GPL-2.0-only

package stalls

import (
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/probe"
)

func spec(t *testing.T) *ebpf.CollectionSpec {
	t.Helper()
	s, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTypes compares the types in Go with those of the programs: sizes, and
// places of all members.
func TestTypes(t *testing.T) {
	types := spec(t).Types
	for name, v := range map[string]any{"span": bpfSpan{}, "thread": bpfThread{}, "gaps": bpfGaps{}} {
		var c *btf.Struct
		if err := types.TypeByName(name, &c); err != nil {
			t.Fatal(err)
		}
		g := reflect.TypeOf(v)
		if uint64(g.Size()) != uint64(c.Size) || g.NumField() != len(c.Members)+1 {
			t.Errorf("%s: expected %d bytes and %d members as in C, found %d and %d", name, c.Size, len(c.Members), g.Size(), g.NumField()-1)
			continue
		}
		for i, m := range c.Members {
			if f := g.Field(i + 1); uint64(f.Offset) != uint64(m.Offset.Bytes()) {
				t.Errorf("%s: expected %s at %d as in C, found %s at %d", name, m.Name, m.Offset.Bytes(), f.Name, f.Offset)
			}
		}
	}
}

// TestNumbers compares constants with those of the C code, by name.
func TestNumbers(t *testing.T) {
	source, err := os.ReadFile("stalls.bpf.c")
	if err != nil {
		t.Fatal(err)
	}
	enum := func(name string) []string {
		m := regexp.MustCompile(`(?s)enum ` + name + ` \{(.*?)\n\}`).FindSubmatch(source)
		if m == nil {
			t.Fatalf("stalls.bpf.c: expected an enum %s, found none", name)
		}
		var names []string
		for _, v := range regexp.MustCompile(`(?m)^\t(\w+),`).FindAllStringSubmatch(string(m[1]), -1) {
			names = append(names, v[1])
		}
		return names
	}
	for name, want := range map[string][]string{
		"span_kind": {0: "SPAN_NONE", KindCreate: "SPAN_CREATE", KindMemslot: "SPAN_MEMSLOT", 3: "SPAN_GAP"},
		"gap_class": {ClassUser: "GAP_USER", ClassHalted: "GAP_HALTED", ClassBlocked: "GAP_BLOCKED",
			ClassPreempted: "GAP_PREEMPTED", ClassRan: "GAP_RAN", NumClasses: "NR_CLASSES"},
		"deferral": {"DEFER_RCU", "DEFER_SRCU", "DEFER_KVFREE", NumDeferrals: "NR_DEFERRALS"},
	} {
		if got := enum(name); !slices.Equal(got, want) {
			t.Errorf("enum %s: expected %v as in Go, found %v", name, want, got)
		}
	}
	macros := func(macro string) map[string]string {
		out := make(map[string]string)
		for _, m := range regexp.MustCompile(`(?m)^`+macro+`\((\w+), (\w+)\)$`).FindAllStringSubmatch(string(source), -1) {
			out[m[2]] = m[1]
		}
		return out
	}
	waits, deferrals := macros("WAIT"), macros("DEFER")
	for w, name := range measure.Waits {
		if got := waits[strconv.Itoa(w)]; got != name {
			t.Errorf("wait %d: expected %s as in Go, found %s", w, name, got)
		}
	}
	for d, name := range measure.Deferrals {
		if got := deferrals[enum("deferral")[d]]; got != name {
			t.Errorf("deferral %d: expected %s as in Go, found %s", d, name, got)
		}
	}
	if phases := spec(t).Maps[bpfMapPhases].MaxEntries; phases != NumPhases {
		t.Errorf("expected %d phases, found %d", NumPhases, phases)
	}
}

// TestPrograms looks whether each program is one that attach knows, and whether
// what begins a span is told from what ends it.
func TestPrograms(t *testing.T) {
	for name, p := range spec(t).Programs {
		switch p.Type {
		case ebpf.Tracing, ebpf.RawTracepoint:
			if p.AttachTo == "" {
				t.Errorf("%s: expected something to attach to, found nothing", name)
			}
		default:
			t.Errorf("%s: a program of type %v cannot be attached", name, p.Type)
		}
		end := p.AttachType == ebpf.AttachTraceFExit || name == "vcpu_entry" || name == "contention_end"
		if end && begins(name) {
			t.Errorf("%s: expected an end, found it among the beginnings", name)
		}
		if p.AttachType == ebpf.AttachTraceFEntry && !begins(name) {
			t.Errorf("%s: expected a beginning, found it among the ends", name)
		}
	}
}

func TestMissed(t *testing.T) {
	for name, tt := range map[string]struct {
		lost   uint64
		misses map[string]uint64
		says   string // "" if nothing was missed
	}{
		"nothing":   {0, map[string]uint64{"vcpu_exit": 0}, ""},
		"ring full": {3, nil, "3 events found no room"},
		"skipped":   {0, map[string]uint64{"vcpu_exit": 2, "vcpu_entry": 0}, "vcpu_exit skipped 2 calls"},
		"both":      {1, map[string]uint64{"sched_switch": 1}, "1 events found no room, sched_switch skipped 1 calls"},
	} {
		t.Run(name, func(t *testing.T) {
			err := missed(tt.lost, tt.misses)
			if tt.says == "" && err != nil || tt.says != "" && (!errors.Is(err, probe.ErrMissed) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("expected an ErrMissed that says %q, found %v", tt.says, err)
			}
		})
	}
}

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

// TestPayload plays the vCPU.
func TestPayload(t *testing.T) {
	if _, err := NewPayload(make([]byte, MemorySize-1)); err == nil {
		t.Error("a payload found room in too little memory")
	}
	memory := make([]byte, MemorySize)
	p, err := NewPayload(memory)
	if err != nil {
		t.Fatal(err)
	}
	sort := func(bucket func(uint32) int) func() error {
		return func() error {
			for i := range int(*p.word(dataNr)) {
				v := p.word(values + 4*i)
				*v = uint32(bucket(*v))
			}
			return nil
		}
	}
	if err := p.CheckSort(sort(PayloadBucket)); err != nil {
		t.Error(err)
	}
	// Off by one at one seam only.
	off := func(v uint32) int {
		if v == 1<<17 {
			return 16
		}
		return PayloadBucket(v)
	}
	if err := p.CheckSort(sort(off)); !errors.Is(err, ErrPayload) || !strings.Contains(err.Error(), "expected 131072 in bucket 17, found it in 16") {
		t.Errorf("expected an ErrPayload about the seam, found %v", err)
	}
	died := errors.New("died")
	if err := p.CheckSort(func() error { return died }); !errors.Is(err, died) {
		t.Errorf("expected the vCPU's error, found %v", err)
	}
	p.SetPhase(3)
	p.Stop()
	if *p.word(dataPhase) != 3 || *p.word(dataStop) != 1 {
		t.Error("the payload was not told its phase and its end")
	}
	memory[records+3<<recordShift] = 7
	memory[records+3<<recordShift+recordLargest+1] = 1
	memory[records+3<<recordShift+recordBuckets+8*31] = 9
	if r := p.Record(3); r.Count != 7 || p.Count(3) != 7 || r.Largest != 256 || r.Buckets[31] != 9 {
		t.Errorf("expected what is in memory, found %+v", r)
	}
}

// TestPayloadPlaces compares the places of the payload's data with those in
// the assembler code.
func TestPayloadPlaces(t *testing.T) {
	source, err := os.ReadFile("payload.S")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{
		"DATA_PHASE": dataPhase, "DATA_STOP": dataStop, "DATA_NR": dataNr, "RECORDS": records,
		"RECORD_SHIFT": recordShift, "RECORD_COUNT": 0, "RECORD_LARGEST": recordLargest,
		"RECORD_BUCKETS": recordBuckets, "VALUES": values, "PORT": Port,
	} {
		m := regexp.MustCompile(`(?m)^#define ` + name + `\s+(\w+)`).FindSubmatch(source)
		if m == nil {
			t.Errorf("payload.S: expected a %s, found none", name)
			continue
		}
		if got, err := strconv.ParseUint(string(m[1]), 0, 32); err != nil || got != want {
			t.Errorf("%s: expected %#x as in Go, found %s", name, want, m[1])
		}
	}
	if end := records + NumPhases<<recordShift; end > values || values+4*200 > StackAddress {
		t.Errorf("the payload's data overlap: records end at %#x, values begin at %#x", end, values)
	}
	if entry := EntrySort - CodeAddress; Code[entry] != 0xbe { // mov $VALUES, %esi
		t.Errorf("expected the code that sorts at %#x, found %#x", entry, Code[entry])
	}
}
