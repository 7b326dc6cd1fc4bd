// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/ebpf/measure"
)

// records is one of each kind, as a run sends them.
func records() []Record {
	return []Record{
		{Hello: &Hello{Version: Version, Kernel: "7.3.4", Machine: "x86_64", OnlineCPUs: "0-1"}},
		{},
		{Log: "two\nlines \u2028 and \"quotes\""},
		{Sample: &measure.Sample{Sizes: &measure.Sizes{KVM: 75}}},
		{Loaded: &Loaded{Path: "/modules/kvm.ko", Text: "0xffffffffa0001000"}},
		{Start: "max_vcpuid_cap_test"},
		{Output: &Output{Stderr: true, Data: []byte("\x00\xff\r\n")}},
		{Test: &Test{Name: "max_vcpuid_cap_test", Outcome: OutcomeSignal, Signal: "SIGSEGV", Output: "ok 1\r\n\x00\xff"}},
		{Checkers: []Checker{{Name: KASAN, Wrong: "off"}, {Name: Lockdep}}},
		{End: &End{Message: "no such device", Code: ErrAttach}},
	}
}

// stream encodes all records.
func stream(t testing.TB) []byte {
	t.Helper()
	var buf bytes.Buffer
	var clock int64
	enc := NewEncoder(&buf, func() int64 { clock += 10; return clock })
	for _, r := range records() {
		if err := enc.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	return buf.Bytes()
}

// readAll decodes until the first error.
func readAll(data []byte) ([]Record, error) {
	dec := NewDecoder(bytes.NewReader(data))
	var all []Record
	for {
		r, err := dec.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, r)
	}
}

func TestRoundTrip(t *testing.T) {
	want := records()
	for i := range want {
		want[i].Seq, want[i].Nanos = uint64(i+1), int64(i+1)*10
	}
	// JSON holds text, not bytes: what is no UTF-8 is replaced.
	want[7].Test.Output = strings.ToValidUTF8(want[7].Test.Output, "\ufffd")
	got, err := readAll(stream(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records differ (-want +got):\n%s", diff)
	}
}

// TestCutAnywhere holds the decoder to its promise: no proper part of a run
// is a run.
func TestCutAnywhere(t *testing.T) {
	data := stream(t)
	for n := range len(data) {
		_, err := readAll(data[:n])
		atLine := n == 0 || data[n-1] == '\n'
		if atLine && !errors.Is(err, ErrNoEnd) || !atLine && !errors.Is(err, ErrCut) {
			t.Fatalf("%d of %d bytes (ending %q): found error %v", n, len(data), data[max(0, n-20):n], err)
		}
	}
}

// TestLostLine takes each line out, and puts each in twice.
func TestLostLine(t *testing.T) {
	lines := bytes.SplitAfter(stream(t), []byte("\n"))
	lines = lines[:len(lines)-1]
	for i := range lines {
		without := bytes.Join(append(append([][]byte(nil), lines[:i]...), lines[i+1:]...), nil)
		if _, err := readAll(without); err == nil {
			t.Errorf("line %d left out: not noticed", i+1)
		}
		twice := bytes.Join(append(append(append([][]byte(nil), lines[:i+1]...), lines[i]), lines[i+1:]...), nil)
		if _, err := readAll(twice); !errors.Is(err, ErrLost) {
			t.Errorf("line %d doubled: expected %v, found %v", i+1, ErrLost, err)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	version := fmt.Sprintf(`"version":%d`, Version)
	hello := `{"seq":1,"t":0,"hello":{` + version + `,"kernel":"","machine":"","cmdline":"","boot_id":"","online_cpus":""}}` + "\n"
	const beat, end = `{"seq":2,"t":0}`, `{"seq":2,"t":0,"end":{}}`
	for name, tt := range map[string]struct {
		in   string
		want error
	}{
		"nothing":        {"", ErrNoEnd},
		"no JSON":        {"Segmentation fault\n", ErrMalformed},
		"empty line":     {"\n", ErrMalformed},
		"two on a line":  {strings.TrimSpace(hello) + hello, ErrMalformed},
		"no hello":       {`{"seq":1,"t":0}` + "\n", ErrLost},
		"second hello":   {hello + strings.Replace(hello, `"seq":1`, `"seq":2`, 1), ErrLost},
		"old guest":      {strings.Replace(hello, version, `"version":0`, 1), ErrMalformed},
		"unknown field":  {hello + `{"seq":2,"t":0,"song":1}` + "\n", ErrMalformed},
		"unknown sample": {hello + `{"seq":2,"t":0,"sample":{"latency":1}}` + "\n", ErrMalformed},
		"wrong sample":   {hello + `{"seq":2,"t":0,"sample":{"loop":"fast"}}` + "\n", ErrMalformed},
		"two things":     {hello + `{"seq":2,"t":0,"log":"a","start":"b"}` + "\n", ErrMalformed},
		"gap":            {hello + strings.Replace(beat, "2", "3", 1) + "\n", ErrLost},
		"more after end": {hello + end + "\n{", ErrCut},
		"line after end": {hello + end + "\n\n", ErrLost},
		"endless line":   {strings.Repeat("x", MaxLine+1), ErrTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readAll([]byte(tt.in)); !errors.Is(err, tt.want) {
				t.Errorf("expected %v, found %v", tt.want, err)
			}
		})
	}
}

func TestEncoderRefuses(t *testing.T) {
	var buf bytes.Buffer
	enc := NewEncoder(&buf, nil)
	long := Record{Log: strings.Repeat("x", MaxLine)}
	if err := enc.Send(long); !errors.Is(err, ErrTooLong) {
		t.Errorf("long record: expected %v, found %v", ErrTooLong, err)
	}
	if err := enc.Send(Record{Log: "a", Start: "b"}); !errors.Is(err, ErrMalformed) {
		t.Errorf("record of two things: expected %v, found %v", ErrMalformed, err)
	}
	if buf.Len() != 0 {
		t.Errorf("refused records were written: %q", buf.String())
	}
	for _, r := range []Record{records()[0], {End: &End{}}} {
		if err := enc.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Send(Record{}); !errors.Is(err, ErrLost) {
		t.Errorf("record after the end: expected %v, found %v", ErrLost, err)
	}
	if all, err := readAll(buf.Bytes()); err != nil || len(all) != 2 {
		t.Errorf("expected 2 records, found %d and %v", len(all), err)
	}
}

// brokenPort takes a few bytes and then no more.
type brokenPort struct{ room int }

func (b *brokenPort) Write(p []byte) (int, error) {
	n := min(b.room, len(p))
	b.room -= n
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// TestEncoderStopsAfterFailedWrite: half a line may be out, so a whole one
// after it would be glued to it.
func TestEncoderStopsAfterFailedWrite(t *testing.T) {
	enc := NewEncoder(&brokenPort{room: 5}, nil)
	if err := enc.Send(records()[0]); !errors.Is(err, io.ErrShortWrite) {
		t.Fatalf("expected %v, found %v", io.ErrShortWrite, err)
	}
	if err := enc.Send(Record{}); err == nil {
		t.Error("a record was sent after a failed write")
	}
}

// FuzzDecoder checks that whatever a guest sends ends in records or an error,
// and that what was accepted whole is well formed.
func FuzzDecoder(f *testing.F) {
	whole := stream(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("{\"seq\":1}\n"))
	f.Add([]byte("[    0.000000] Linux version\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := readAll(data)
		if err != nil {
			return
		}
		if n := len(all); n < 2 || all[0].Hello == nil || all[n-1].End == nil {
			t.Fatalf("accepted as a run: %q", data)
		}
		// What was accepted is sent again and must be accepted again.
		var buf bytes.Buffer
		enc := NewEncoder(&buf, nil)
		for _, r := range all {
			if err := enc.Send(r); err != nil {
				t.Fatalf("accepted, but cannot be sent: %v", err)
			}
		}
		if again, err := readAll(buf.Bytes()); err != nil || len(again) != len(all) {
			t.Fatalf("sent again: expected %d records, found %d and %v", len(all), len(again), err)
		}
	})
}
