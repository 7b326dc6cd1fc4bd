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

// runAsProcess does the job that it reads, on the running kernel: file systems
// are mounted and modules loaded already, and the machine stays up. It returns
// the program's exit status; an error of the job itself is in the records.
func runAsProcess(in io.Reader, out io.Writer) int {
	limitHeap()

	job, err := readJob(in)
	if err == nil {
		err = serve(out, job)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", wire.FatalPrefix, err)
		return 1
	}
	return 0
}

// readJob reads a job, and refuses one that would change the machine.
func readJob(in io.Reader) (wire.Job, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxJob))
	if err != nil {
		return wire.Job{}, err
	}
	job, err := wire.ParseJob(data)
	if err != nil {
		return wire.Job{}, err
	}
	if job.Kind != wire.JobMeasure || len(job.Mounts) > 0 || len(job.Modules) > 0 {
		return wire.Job{}, fmt.Errorf("job %q: expected one that measures and neither mounts nor loads anything", job.Kind)
	}
	return job, nil
}
