// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"fmt"
	"sync"
)

// Excerpt keeps the first and the last part of a text of any length: a log begins
// with what was run and ends with what went wrong. It is safe for use by several
// goroutines.
type Excerpt struct {
	half int

	mu      sync.Mutex
	head    []byte
	tail    []byte // a ring once it is full
	next    int    // where the ring is written next
	dropped int64
}

// NewExcerpt returns an Excerpt that keeps about limit bytes, half of them
// from either end.
func NewExcerpt(limit int) *Excerpt {
	return &Excerpt{half: max(limit/2, 1)}
}

// Write takes all of p and never fails.
func (e *Excerpt) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(p)
	k := min(e.half-len(e.head), len(p))
	e.head, p = append(e.head, p[:k]...), p[k:]
	k = min(e.half-len(e.tail), len(p))
	e.tail, p = append(e.tail, p[:k]...), p[k:]
	e.dropped += int64(len(p))
	if skip := len(p) - e.half; skip > 0 {
		p = p[skip:]
	}
	for len(p) > 0 {
		k := copy(e.tail[e.next:], p)
		p, e.next = p[k:], (e.next+k)%e.half
	}
	return n, nil
}

// Dropped returns how many bytes of the middle were not kept.
func (e *Excerpt) Dropped() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dropped
}

// String returns the parts that were kept, with a line that says how much was not.
func (e *Excerpt) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	text := string(e.head)
	if e.dropped > 0 {
		text += fmt.Sprintf("\n[... %d bytes left out ...]\n", e.dropped)
	}
	return text + string(e.tail[e.next:]) + string(e.tail[:e.next])
}
