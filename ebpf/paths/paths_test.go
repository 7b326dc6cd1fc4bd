// SPDX-License-Identifier: GPL-2.0-only

package paths

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"unsafe"
)

// TestPlaces compares the places of the payload's data and entries with those in
// the assembler code.
func TestPlaces(t *testing.T) {
	source, err := os.ReadFile("payload.S")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{
		"DATA_STARTED": dataStarted, "DATA_COUNT": dataCount, "DATA_DONE": dataDone, "DATA_STEP": dataStep,
		"DATA_AX": dataAX, "DATA_BX": dataBX, "DATA_CX": dataCX, "DATA_DX": dataDX, "DATA_SI": dataSI, "DATA_DI": dataDI,
		"PORT": Port,
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
	// How each entry begins.
	for entry, want := range map[int]byte{
		EntryStart:     0xc7, // movl $APIC_ENABLED, APIC_SPIV
		EntryIPI:       0xa1, // mov DATA_AX, %eax
		EntryHypercall: 0xa1,
		EntryWrite:     0x8b, // mov DATA_AX, %ebx
	} {
		if got := Code[entry-CodeAddress]; got != want {
			t.Errorf("expected the code at %#x to begin with %#x, found %#x", entry, want, got)
		}
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
	*p.word(dataDone), *p.word(dataStarted) = 9, 5
	p.Prepare(3, Registers{AX: 1, DI: 6}, InputAddress)
	if *p.word(dataCount) != 3 || *p.word(dataAX) != 1 || *p.word(dataDI) != 6 || *p.word(dataStep) != InputAddress {
		t.Error("the payload was not told what to do")
	}
	if p.Done() != 0 || p.Started() != 5 {
		t.Errorf("expected no operation done and 5 vCPUs started, found %d and %d", p.Done(), p.Started())
	}
	// What nobody asked for is added to a word that nobody reads.
	if p.Prepare(1, Registers{}, 0); *p.word(dataStep) != InputAddress+0xff0 {
		t.Errorf("expected a word to add to, found %#x", *p.word(dataStep))
	}
	p.Input()[0], p.Shared()[1] = 1, 2
	if memory[InputAddress] != 1 || memory[SharedAddress+1] != 2 || len(p.Shared()) != 0x1000 {
		t.Error("expected the input and Xen's page to be the VM's memory")
	}
}

// TestPrograms looks whether each function has both programs, each kept array is
// as long as in Go.
func TestPrograms(t *testing.T) {
	spec, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	all := functions(spec)
	if !slices.Contains(all, Empty) || len(spec.Programs) != 2*len(all) {
		t.Errorf("expected two programs a function, one of them %s, found %v", Empty, all)
	}
	for _, f := range all {
		for _, suffix := range []string{entrySuffix, exitSuffix} {
			if p := spec.Programs[f+suffix]; p == nil || p.AttachTo != f {
				t.Errorf("%s: expected a program %s for it", f, f+suffix)
			}
		}
	}
	var nanos [MaxCalls]uint64
	if got := spec.Variables[bpfVarNanos].Size(); uint64(got) != uint64(unsafe.Sizeof(nanos)) {
		t.Errorf("expected room for %d calls, found %d bytes", MaxCalls, got)
	}
}
