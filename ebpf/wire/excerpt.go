// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"fmt"
	"sync"
)

// Excerpt keeps the first and the last part of a text of any length: a log begins with
// what was run and ends with what went wrong. It is safe for use by several goroutines.
type Excerpt struct {
	half int

	mu   sync.Mutex
	head []byte
	tail []byte // the last half, and up to as much before it
	rest int64  // bytes that came after head
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
	k := min(e.half-len(e.head), len(p))
	e.head = append(e.head, p[:k]...)
	e.rest += int64(len(p) - k)
	if e.tail = append(e.tail, p[k:]...); len(e.tail) > 2*e.half {
		e.tail = append(e.tail[:0], e.tail[len(e.tail)-e.half:]...)
	}
	return len(p), nil
}

// Dropped returns how many bytes of the middle were not kept.
func (e *Excerpt) Dropped() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return max(e.rest-int64(e.half), 0)
}

// String returns the parts that were kept, with a line that says how much was not.
func (e *Excerpt) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	dropped := e.rest - int64(e.half)
	if dropped <= 0 {
		return string(e.head) + string(e.tail)
	}
	return fmt.Sprintf("%s\n[... %d bytes left out ...]\n%s", e.head, dropped, e.tail[len(e.tail)-e.half:])
}
