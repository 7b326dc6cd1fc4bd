// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// JobPath is where the guest finds its job in the initramfs.
	JobPath = "/job.json"
	// PortName is the name of the virtio-serial port that records go to.
	PortName = "vcpulab.records"
	// RunningArg has the guest program do a job on the running kernel, as an
	// ordinary process: it reads the job from standard input and sends records
	// to standard output. It mounts nothing and loads nothing.
	RunningArg = "running"
)

// The kinds of job that the guest knows.
const (
	JobBoot    = "boot"    // say hello and end
	JobExec    = "exec"    // run programs; Params is an Exec
	JobMeasure = "measure" // measured loops; Params belongs to the measurement
)

// Job is the task of a guest.
type Job struct {
	// Kind selects what the guest does: one of the Job constants.
	Kind string `json:"kind"`
	// Mounts names the file systems to mount besides proc, sys and dev:
	// tmpfs, debugfs, tracefs, bpf, cgroup2.
	Mounts []string `json:"mounts,omitempty"`
	// Modules are loaded in this order before the job starts.
	Modules []Module `json:"modules,omitempty"`
	// HeartbeatMillis is the time between two Beat records, in milliseconds
	// of the guest's own clock; 0 sends none. Leave it 0 under icount with
	// sleep=off: an idle guest's clock runs ahead there.
	HeartbeatMillis int64 `json:"heartbeat_ms,omitempty"`
	// Params is decoded by the code of the kind; see Job.Decode.
	Params json.RawMessage `json:"params,omitempty"`
}

// Module is a kernel module in the initramfs.
type Module struct {
	Path string `json:"path"`           // absolute path in the guest
	Args string `json:"args,omitempty"` // module parameters, as for insmod
}

// Exec is the Params of a JobExec: programs run one after the other, a Start
// and a Test record each.
type Exec struct {
	Programs []Program `json:"programs"`
	// Leaks has kmemleak look for leaks after each program, and logs its report
	// in the kernel's log.
	Leaks bool `json:"leaks,omitempty"`
}

// Program is one static program to run in the guest.
type Program struct {
	Name string   `json:"name"`           // the name of the Test record
	Path string   `json:"path"`           // absolute path in the guest
	Args []string `json:"args,omitempty"` // without the program's own name
	Env  []string `json:"env,omitempty"`  // NAME=value, besides PATH, HOME and TMPDIR
	// TimeoutMillis ends the program after this many milliseconds of the
	// guest's clock; 0 means never.
	TimeoutMillis int64 `json:"timeout_ms,omitempty"`
	// MaxOutput bounds the output that is kept, in bytes: the first half
	// and the last half of it; 0 means DefaultMaxOutput.
	MaxOutput int `json:"max_output,omitempty"`
}

// DefaultMaxOutput is how much of a program's output is kept by default, in bytes.
const DefaultMaxOutput = 64 << 10

// Timeout is TimeoutMillis as a duration.
func (p Program) Timeout() time.Duration {
	return time.Duration(p.TimeoutMillis) * time.Millisecond
}

// NewJob returns a job whose Params are params in JSON; nil leaves them out.
func NewJob(kind string, params any) (Job, error) {
	j := Job{Kind: kind}
	if params == nil {
		return j, nil
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return Job{}, fmt.Errorf("job %q: parameters: %w", kind, err)
	}
	j.Params = raw
	return j, nil
}

// Decode unpacks Params into v and refuses fields that v does not have:
// host and guest are built from the same source, so one of them is stale.
func (j Job) Decode(v any) error {
	if len(j.Params) == 0 {
		return fmt.Errorf("job %q: %w: expected parameters, found none", j.Kind, ErrInvalid)
	}
	if err := decodeStrict(j.Params, v); err != nil {
		return fmt.Errorf("job %q: %w: parameters: %w", j.Kind, ErrInvalid, err)
	}
	return nil
}

// Marshal returns the content of JobPath.
func (j Job) Marshal() ([]byte, error) {
	if j.Kind == "" {
		return nil, fmt.Errorf("job: expected a kind, found none")
	}
	data, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("job %q: %w", j.Kind, err)
	}
	return append(data, '\n'), nil
}

// ParseJob reads the content of JobPath.
func ParseJob(data []byte) (Job, error) {
	var j Job
	if err := decodeStrict(data, &j); err != nil {
		return Job{}, fmt.Errorf("job: %w", err)
	}
	if j.Kind == "" {
		return Job{}, fmt.Errorf("job: expected a kind, found none")
	}
	return j, nil
}

func decodeStrict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // io.EOF means the end of a stream here
		}
		return err
	}
	if dec.More() {
		return fmt.Errorf("expected one JSON value, found more after byte %d", dec.InputOffset())
	}
	return nil
}
