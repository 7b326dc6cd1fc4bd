// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJobRoundTrip(t *testing.T) {
	params := Exec{Programs: []Program{{Name: "a", Path: "/tests/a", Args: []string{"-v"}, TimeoutMillis: 1500}}}
	job, err := NewJob(JobExec, params)
	if err != nil {
		t.Fatal(err)
	}
	job.Mounts = []string{"tmpfs"}
	job.Modules = []Module{{Path: "/modules/kvm.ko", Args: "a=1"}}
	data, err := job.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseJob(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(job, got); diff != "" {
		t.Errorf("job differs (-want +got):\n%s", diff)
	}
	var back Exec
	if err := got.Decode(&back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(params, back); diff != "" {
		t.Errorf("parameters differ (-want +got):\n%s", diff)
	}
}

func TestJobErrors(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"empty":         {"", "EOF"},
		"no kind":       {"{}", "expected a kind"},
		"unknown field": {`{"kind":"boot","speed":1}`, "speed"},
		"two values":    {`{"kind":"boot"}{}`, "found more after byte 15"},
		"no object":     {`[]`, "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseJob([]byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("expected an error with %q, found %v", tt.want, err)
			}
		})
	}
	if _, err := (Job{}).Marshal(); err == nil {
		t.Error("a job without a kind was accepted")
	}
	if err := (Job{Kind: JobExec}).Decode(&Exec{}); err == nil {
		t.Error("missing parameters were accepted")
	}
	if err := (Job{Kind: JobExec, Params: []byte(`{"program":[]}`)}).Decode(&Exec{}); err == nil {
		t.Error("unknown parameters were accepted")
	}
}

func FuzzParseJob(f *testing.F) {
	f.Add([]byte(`{"kind":"boot"}`))
	f.Add([]byte(`{"kind":"exec","mounts":["tmpfs"],"modules":[{"path":"/a.ko"}],"params":{"programs":[]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		job, err := ParseJob(data)
		if err != nil {
			return
		}
		out, err := job.Marshal()
		if err != nil {
			t.Fatalf("accepted, but cannot be written: %v", err)
		}
		if _, err := ParseJob(out); err != nil {
			t.Fatalf("written, but cannot be read: %v", err)
		}
	})
}
