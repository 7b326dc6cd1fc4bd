// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// silence measures how long a guest has shown no sign of life. Time in
// which QEMU waits for a processor of a busy host does not count.
type silence struct {
	limit time.Duration
	timer *time.Timer
	// delay is how long QEMU has waited for a processor so far.
	delay func() time.Duration

	last    time.Time     // of the last sign of life
	sampled time.Time     // when base was read
	base    time.Duration // delay then
}

// sampleEvery bounds how often delay is read, and so how much waiting before
// the last sign of life may be subtracted by mistake.
const sampleEvery = time.Second

func newSilence(pid int, limit time.Duration) *silence {
	s := &silence{
		limit: limit,
		timer: time.NewTimer(limit),
		delay: func() time.Duration { return runDelay(fmt.Sprintf("/proc/%d/task", pid)) },
	}
	s.reset()
	return s
}

// reset begins again after a sign of life.
func (s *silence) reset() {
	s.last = time.Now()
	if s.last.Sub(s.sampled) >= sampleEvery {
		s.sampled, s.base = s.last, s.delay()
	}
	s.timer.Reset(s.limit)
}

// maxStretch bounds how far waiting stretches the limit: a guest that spins
// on a busy host waits forever.
const maxStretch = 3

// over tells, when the timer has fired, whether the silence has lasted for
// the limit; if not, the timer is set for what is left.
func (s *silence) over() bool {
	passed := time.Since(s.last)
	waited := min(max(0, s.delay()-s.base), (maxStretch-1)*s.limit)
	left := s.limit - (passed - waited)
	if left <= 0 {
		return true
	}
	s.timer.Reset(left)
	return false
}

// runDelay returns the longest time that one of a process's threads has spent
// waiting for a processor, 0 where the kernel does not say. tasks is the
// process's task directory in /proc.
func runDelay(tasks string) time.Duration {
	files, _ := filepath.Glob(filepath.Join(tasks, "*", "schedstat"))
	var longest time.Duration
	for _, name := range files {
		data, _ := os.ReadFile(name) // nothing of a thread that has ended
		var ran, waited time.Duration
		_, _ = fmt.Sscan(string(data), (*int64)(&ran), (*int64)(&waited))
		longest = max(longest, waited)
	}
	return longest
}
