// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"time"

	"vcpulab/ebpf/measure"
)

const (
	// JobPath is where the guest finds its job in the initramfs.
	JobPath = "/job.json"
	// Port is the device that records go to: the first port of the only
	// virtio-serial device.
	Port = "/dev/vport0p1"
	// RunningArg has the guest program do a job on the running kernel, as an
	// ordinary process: it reads the job from standard input and sends records
	// to standard output. It mounts nothing and loads nothing.
	RunningArg = "running"
)

// Job is the task of a guest: Exec, Measure, or with neither to say hello and end.
type Job struct {
	// Exec is programs to run.
	Exec *Exec `json:"exec,omitempty"`
	// Measure is what to measure.
	Measure *measure.Params `json:"measure,omitempty"`
	// Mounts names the file systems to mount besides proc, sys and dev:
	// tmpfs, debugfs, tracefs, bpf, cgroup2.
	Mounts []string `json:"mounts,omitempty"`
	// Modules are loaded in this order before the job starts.
	Modules []Module `json:"modules,omitempty"`
	// HeartbeatMillis is the time between two heartbeats, in milliseconds
	// of the guest's own clock; 0 sends none. Leave it 0 under icount with
	// sleep=off: an idle guest's clock runs ahead there.
	HeartbeatMillis int64 `json:"heartbeat_ms,omitempty"`
}

// Module is a kernel module in the initramfs.
type Module struct {
	Path string `json:"path"`           // absolute path in the guest
	Args string `json:"args,omitempty"` // module parameters, as for insmod
}

// Exec is programs that run one after the other, a Start and a Test record each.
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
	// Timeout ends the program after that much time of the guest's clock; 0
	// means never.
	Timeout time.Duration `json:"timeout_ns,omitempty"`
	// MaxOutput bounds the output that is kept, in bytes: the first half
	// and the last half of it.
	MaxOutput int `json:"max_output"`
}
