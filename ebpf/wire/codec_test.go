// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// records is one of each kind, as a run sends them.
func records() []Record {
	return []Record{
		{Kind: KindHello, Hello: &Hello{Version: Version, Job: JobExec, Kernel: "7.3.4", Machine: "x86_64", OnlineCPUs: "0-1"}},
		{Kind: KindBeat},
		{Kind: KindLog, Log: &Log{Text: "two\nlines \u2028 and \"quotes\""}},
		{Kind: KindSample, Sample: &Sample{Type: "loop", Data: json.RawMessage(`{"insns":75}`)}},
		{Kind: KindStart, Start: &Start{Name: "max_vcpuid_cap_test"}},
		{Kind: KindTest, Test: &Test{Name: "max_vcpuid_cap_test", Outcome: OutcomeSignal, Signal: "SIGSEGV", Output: "ok 1\r\n\x00\xff"}},
		{Kind: KindError, Error: &Error{Message: "no such device"}},
		{Kind: KindEnd, End: &End{Status: StatusFailed}},
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
	want[len(want)-1].End.Records = uint64(len(want))
	// JSON holds text, not bytes: what is no UTF-8 is replaced.
	want[5].Test.Output = strings.ToValidUTF8(want[5].Test.Output, "\ufffd")
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
	hello := `{"seq":1,"kind":"hello","t":0,"hello":{` + version + `,"job":"boot","kernel":"","build":"","machine":"","cmdline":"","boot_id":"","clocksource":"","online_cpus":"","mem_total_kib":0}}` + "\n"
	for name, tt := range map[string]struct {
		in   string
		want error
	}{
		"nothing":           {"", ErrNoEnd},
		"no JSON":           {"Segmentation fault\n", ErrMalformed},
		"empty line":        {"\n", ErrMalformed},
		"two on a line":     {strings.TrimSpace(hello) + hello, ErrMalformed},
		"no hello":          {`{"seq":1,"kind":"beat","t":0}` + "\n", ErrLost},
		"second hello":      {hello + strings.Replace(hello, `"seq":1`, `"seq":2`, 1), ErrLost},
		"old guest":         {strings.Replace(hello, version, `"version":0`, 1), ErrMalformed},
		"unknown kind":      {hello + `{"seq":2,"kind":"song","t":0}` + "\n", ErrMalformed},
		"unknown field":     {hello + `{"seq":2,"kind":"beat","t":0,"x":1}` + "\n", ErrMalformed},
		"payload missing":   {hello + `{"seq":2,"kind":"test","t":0}` + "\n", ErrMalformed},
		"wrong payload":     {hello + `{"seq":2,"kind":"beat","t":0,"log":{"text":""}}` + "\n", ErrMalformed},
		"sample of nothing": {hello + `{"seq":2,"kind":"sample","t":0,"sample":{"type":"","data":1}}` + "\n", ErrMalformed},
		"gap":               {hello + `{"seq":3,"kind":"beat","t":0}` + "\n", ErrLost},
		"wrong count":       {hello + `{"seq":2,"kind":"end","t":0,"end":{"status":"ok","records":3}}` + "\n", ErrLost},
		"more after end":    {hello + `{"seq":2,"kind":"end","t":0,"end":{"status":"ok","records":2}}` + "\n{", ErrCut},
		"line after end":    {hello + `{"seq":2,"kind":"end","t":0,"end":{"status":"ok","records":2}}` + "\n\n", ErrLost},
		"endless line":      {strings.Repeat("x", MaxLine+1), ErrTooLong},
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
	long := Record{Kind: KindLog, Log: &Log{Text: strings.Repeat("x", MaxLine)}}
	if err := enc.Send(long); !errors.Is(err, ErrTooLong) {
		t.Errorf("long record: expected %v, found %v", ErrTooLong, err)
	}
	if err := enc.Send(Record{Kind: KindTest}); !errors.Is(err, ErrMalformed) {
		t.Errorf("record without payload: expected %v, found %v", ErrMalformed, err)
	}
	if buf.Len() != 0 {
		t.Errorf("refused records were written: %q", buf.String())
	}
	for _, r := range []Record{records()[0], {Kind: KindEnd, End: &End{Status: StatusOK}}} {
		if err := enc.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Send(Record{Kind: KindBeat}); !errors.Is(err, ErrLost) {
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
	if err := enc.Send(Record{Kind: KindBeat}); err == nil {
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
		if n := len(all); n < 2 || all[0].Kind != KindHello || all[n-1].Kind != KindEnd || all[n-1].End.Records != uint64(n) {
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
