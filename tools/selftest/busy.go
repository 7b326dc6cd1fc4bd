// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"os"
	"runtime"
)

// busyFactor is how many tasks for each processor make a machine busy: two
// guests of two processors are not enough.
const busyFactor = 3

// busy says that this machine has too much to do for tests that ask for an
// answer in time, "" if it has not.
func busy() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return busyAt(string(data), runtime.NumCPU())
}

// busyAt is busy for the content of /proc/loadavg.
func busyAt(loadavg string, cpus int) string {
	var load float64
	if _, err := fmt.Sscanf(loadavg, "%f", &load); err != nil || load < float64(busyFactor*cpus) {
		return ""
	}
	return fmt.Sprintf(" (this machine is busy: a load of %.1f on %d processors)", load, cpus)
}
