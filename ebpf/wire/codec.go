// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// MaxLine bounds one record, in bytes with its newline: a broken guest must not fill
// the host's memory.
const MaxLine = 4 << 20

// MaxStream bounds all records of a run together, in bytes, without Output, of which
// none is kept.
const MaxStream = 256 << 20

// Errors of a Decoder. All but ErrTooLong mean that there is no result.
var (
	ErrCut   = errors.New("output cut in the middle of a line")
	ErrNoEnd = errors.New("output stopped before its end record") // between two lines
	// ErrTooLong: a record is longer than MaxLine, which the Encoder refuses
	// to send and the Decoder to read, or the stream than MaxStream.
	ErrTooLong   = errors.New("record longer than the limit")
	ErrMalformed = errors.New("malformed record")             // a line is not a record
	ErrLost      = errors.New("records lost or out of order") // records are missing, duplicate or follow End
)

// Encoder writes records. It is safe for use by several goroutines.
type Encoder struct {
	w   io.Writer
	now func() int64

	mu    sync.Mutex
	seq   uint64
	ended bool
}

// NewEncoder returns an Encoder that writes to w, a whole line a Write. now
// gives Record.Nanos; nil leaves it 0.
func NewEncoder(w io.Writer, now func() int64) *Encoder {
	return &Encoder{w: w, now: now}
}

// Send writes r after it has set Seq and Nanos. An error leaves the numbers as they
// were, except after a failed write: then the stream may hold half a line and every
// later Send fails as well.
func (e *Encoder) Send(r Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return fmt.Errorf("send: %w: the stream has ended", ErrLost)
	}
	r.Seq = e.seq + 1
	if e.now != nil {
		r.Nanos = e.now()
	}
	if err := r.check(); err != nil {
		return fmt.Errorf("send record %d: %w", r.Seq, err)
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("send record %d: %w", r.Seq, err)
	}
	line = append(line, '\n')
	if len(line) > MaxLine {
		return fmt.Errorf("send record %d: %d bytes: %w of %d", r.Seq, len(line), ErrTooLong, MaxLine)
	}
	e.seq++
	_, err = e.w.Write(line)
	e.ended = err != nil || r.End != nil
	if err != nil {
		return fmt.Errorf("send record %d: %w", r.Seq, err)
	}
	return nil
}

// Decoder reads records and holds them to the rules: numbered without a gap,
// Hello first, End last.
type Decoder struct {
	lines *bufio.Scanner
	read  int // bytes of the stream so far, see MaxStream
	seq   uint64
	ended bool
}

// NewDecoder returns a Decoder that reads from r.
func NewDecoder(r io.Reader) *Decoder {
	d := &Decoder{lines: bufio.NewScanner(r)}
	d.lines.Buffer(make([]byte, 0, 64<<10), MaxLine)
	d.lines.Split(wholeLines)
	return d
}

// wholeLines is a [bufio.SplitFunc] for lines, of which the last ends, too.
func wholeLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, fmt.Errorf("%w: %.80q", ErrCut, data)
	}
	return 0, nil, nil
}

// Next returns the next record. After End and nothing more it returns io.EOF; any other
// error means that the run has no result. A reader's own error is wrapped.
func (d *Decoder) Next() (Record, error) {
	r, err := d.next()
	if err != nil && err != io.EOF {
		return Record{}, fmt.Errorf("after record %d: %w", d.seq, err)
	}
	return r, err
}

func (d *Decoder) next() (r Record, err error) {
	if !d.lines.Scan() {
		switch err := d.lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			return r, fmt.Errorf("%w of %d bytes", ErrTooLong, MaxLine)
		case err == nil && d.ended:
			return r, io.EOF
		default:
			return r, cmp.Or(err, ErrNoEnd)
		}
	}
	if d.ended {
		return r, fmt.Errorf("%w: a line follows the end record", ErrLost)
	}
	in := json.NewDecoder(bytes.NewReader(d.lines.Bytes()))
	in.DisallowUnknownFields()
	err = in.Decode(&r)
	if err == nil && in.More() {
		err = errors.New("more than one value")
	}
	if err != nil {
		return r, fmt.Errorf("%w: %v: %.80q", ErrMalformed, err, d.lines.Bytes())
	}
	if err := r.check(); err != nil {
		return r, err
	}
	if r.Output == nil {
		d.read += len(d.lines.Bytes()) + 1
	}
	if d.read > MaxStream {
		return r, fmt.Errorf("all records: %w of %d bytes", ErrTooLong, MaxStream)
	}
	if r.Seq != d.seq+1 {
		return r, fmt.Errorf("%w: expected record %d, found %d", ErrLost, d.seq+1, r.Seq)
	}
	if (r.Seq == 1) != (r.Hello != nil) {
		return r, fmt.Errorf("%w: expected hello as record 1 and nowhere else", ErrLost)
	}
	d.seq, d.ended = r.Seq, r.End != nil
	return r, nil
}
