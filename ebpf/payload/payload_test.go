// SPDX-License-Identifier: GPL-2.0-only

package payload

import (
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

// TestAddresses compares the addresses of the payload's data and entries with those
// in the assembler code.
func TestAddresses(t *testing.T) {
	source, err := os.ReadFile("payload.S")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{
		"DATA_STARTED": dataStarted, "DATA_COUNT": dataCount, "DATA_DONE": dataDone, "DATA_STEP": dataStep,
		"DATA_AX": dataAX, "DATA_BX": dataBX, "DATA_CX": dataCX, "DATA_DX": dataDX, "DATA_SI": dataSI, "DATA_DI": dataDI,
		"DATA_PHASE": dataPhase, "DATA_STOP": dataStop, "DATA_NR": dataNr, "VALUES": values, "RECORDS": records,
		"RECORD_SHIFT": recordShift, "RECORD_COUNT": 0, "RECORD_LARGEST": recordLargest,
		"RECORD_BUCKETS": recordBuckets, "PORT": Port,
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
	if end := records + measure.MaxPhases<<recordShift; values+4*200 > records || end > StackAddress-0x1000 {
		t.Errorf("the payload's data overlap: values begin at %#x, records at %#x and end at %#x", values, records, end)
	}
	// How each entry begins.
	for entry, want := range map[int]byte{
		EntryStart:     0xc7, // movl $APIC_ENABLED, APIC_SPIV
		EntryIPI:       0xa1, // mov DATA_AX, %eax
		EntryHypercall: 0xa1,
		EntryWrite:     0x8b, // mov DATA_AX, %ebx
		EntrySort:      0xbe, // mov $VALUES, %esi
		EntrySpin:      0x0f, // rdtsc
	} {
		if got := code[entry-codeAddress]; got != want {
			t.Errorf("expected the code at %#x to begin with %#x, found %#x", entry, want, got)
		}
	}
}

// TestOperations plays a vCPU that does operations.
func TestOperations(t *testing.T) {
	if _, err := New(make([]byte, MemorySize-1)); err == nil {
		t.Error("a payload found room in too little memory")
	}
	memory := make([]byte, MemorySize)
	p, err := New(memory)
	if err != nil {
		t.Fatal(err)
	}
	*p.word(dataDone), *p.word(dataStarted) = 9, 5
	p.Prepare(3, Registers{AX: 1, DI: 6}, InputAddress)
	if *p.word(dataCount) != 3 || *p.word(dataAX) != 1 || *p.word(dataDI) != 6 || *p.word(dataStep) != InputAddress {
		t.Error("the payload was not told what to do")
	}
	if p.Done() != 0 || p.Started() != 5 {
		t.Errorf("expected no operation done and 5 vCPUs started, found %d and %d", p.Done(), p.Started())
	}
	// Without an address the payload adds to an unused word.
	if p.Prepare(1, Registers{}, 0); *p.word(dataStep) != unused {
		t.Errorf("expected a word to add to, found %#x", *p.word(dataStep))
	}
	p.Input()[0], p.Shared()[1] = 1, 2
	if memory[InputAddress] != 1 || memory[SharedAddress+1] != 2 || len(p.Shared()) != 0x1000 {
		t.Error("expected the input and Xen's page to be the VM's memory")
	}
}

// TestGaps plays a vCPU that looks at its gaps.
func TestGaps(t *testing.T) {
	memory := make([]byte, MemorySize)
	p, err := New(memory)
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
	if err := p.CheckSort(sort(bucketOf)); err != nil {
		t.Error(err)
	}
	// Off by one at one seam only.
	off := func(v uint32) int {
		if v == 1<<17 {
			return 16
		}
		return bucketOf(v)
	}
	if err := p.CheckSort(sort(off)); !errors.Is(err, wire.ErrPayload) || !strings.Contains(err.Error(), "expected 131072 in bucket 17, found it in 16") {
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
	if r := p.Gaps(3); r.Count != 7 || p.Count(3) != 7 || r.Largest != 256 || len(r.Buckets) != 1 || r.Buckets[0] != (measure.BucketCount{Bucket: 31, Count: 9}) {
		t.Errorf("expected what is in memory, found %+v", r)
	}
}
