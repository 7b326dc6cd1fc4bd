// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"vcpulab/ebpf/wire"
)

// TestShellStreams: a program gets what the host says, and what it prints is sent.
func TestShellStreams(t *testing.T) {
	var said, records bytes.Buffer
	for _, in := range []wire.Input{{Data: []byte("one\n")}, {Data: []byte("two\n")}, {EOF: true}, {Done: true}} {
		if err := json.NewEncoder(&said).Encode(in); err != nil {
			t.Fatal(err)
		}
	}
	out := wire.NewEncoder(&records, nil)
	if err := out.Send(wire.Record{Hello: hello()}); err != nil {
		t.Fatal(err)
	}
	s := shell{cmd: exec.Command("/bin/sh", "-c", "cat; echo three >&2"), done: make(chan struct{})}
	if err := s.connectPipes(out); err != nil {
		t.Fatal(err)
	}
	go s.listen(&said)
	if err := s.cmd.Run(); err != nil {
		t.Fatal(err)
	}
	<-s.done

	var stdout, stderr []byte
	for dec := wire.NewDecoder(&records); ; {
		r, err := dec.Next()
		if errors.Is(err, wire.ErrNoEnd) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case r.Output == nil:
		case r.Output.Stderr:
			stderr = append(stderr, r.Output.Data...)
		default:
			stdout = append(stdout, r.Output.Data...)
		}
	}
	if string(stdout) != "one\ntwo\n" || string(stderr) != "three\n" {
		t.Errorf("expected one, two and three, found %q and %q", stdout, stderr)
	}
}

// TestShellListens ends with what is no input, and with what is read no more.
func TestShellListens(t *testing.T) {
	for name, said := range map[string]string{
		"not JSON":          "Data\n",
		"a program's end":   `{"data":"YQ=="}` + "\n" + `{"done":true}` + "\n",
		"more than its end": `{"done":true}` + "\n" + `{"data":"YQ=="}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, stdin := io.Pipe()
			stdin.Close()
			s := shell{stdin: stdin, done: make(chan struct{})}
			s.listen(strings.NewReader(said))
			<-s.done
		})
	}
}

// latePort is a port whose other side comes late.
type latePort struct {
	before int
	said   io.Reader
}

func (p *latePort) Read(data []byte) (int, error) {
	if p.before--; p.before >= 0 {
		return 0, io.EOF
	}
	return p.said.Read(data)
}

func TestPatientReader(t *testing.T) {
	data := make([]byte, 8)
	n, err := patientReader{&latePort{2, strings.NewReader("here")}}.Read(data)
	if err != nil || string(data[:n]) != "here" {
		t.Errorf("expected what was said late, found %q and %v", data[:n], err)
	}
}
