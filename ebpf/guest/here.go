// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"fmt"
	"io"
	"os"

	"vcpulab/ebpf/wire"
)

// maxJob bounds a job that is read from a pipe, in bytes.
const maxJob = 1 << 20

// here does the job that it reads, on the kernel that runs: what is there to be
// mounted and loaded is, and the machine goes on afterwards. It returns the
// program's exit status; what went wrong in the job itself is in the records.
func here(in io.Reader, out io.Writer) int {
	limitHeap()
	data, err := io.ReadAll(io.LimitReader(in, maxJob))
	if err == nil {
		var job wire.Job
		if job, err = wire.ParseJob(data); err == nil {
			err = serveHere(out, job)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", fatalPrefix, err)
		return 1
	}
	return 0
}

// serveHere refuses a job that would change the machine.
func serveHere(out io.Writer, job wire.Job) error {
	if job.Kind != wire.JobMeasure || len(job.Mounts) > 0 || len(job.Modules) > 0 {
		return fmt.Errorf("job %q: expected one that measures and neither mounts nor loads anything", job.Kind)
	}
	return serve(out, job)
}
