// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// MaxLine bounds one record, in bytes with its newline: a broken guest must not fill
// the host's memory.
const MaxLine = 4 << 20

// MaxStream bounds all records of a run together, in bytes.
const MaxStream = 256 << 20

// Errors of a Decoder. All but ErrTooLong mean that there is no result.
var (
	// ErrCut: the stream stopped in the middle of a line.
	ErrCut = errors.New("output cut in the middle of a line")
	// ErrNoEnd: the stream stopped between two lines, before End.
	ErrNoEnd = errors.New("output stopped before its end record")
	// ErrTooLong: a record is longer than MaxLine, which the Encoder refuses
	// to send and the Decoder to read, or the stream than MaxStream.
	ErrTooLong = errors.New("record longer than the limit")
	// ErrMalformed: a line is not a record.
	ErrMalformed = errors.New("malformed record")
	// ErrLost: records are missing, duplicate or follow End.
	ErrLost = errors.New("records lost or out of order")
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

// Send writes r after it has set Seq, Nanos and, in an End, Records. An
// error leaves the numbers as they were, except after a failed write: then
// the stream may hold half a line and every later Send fails as well.
func (e *Encoder) Send(r Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return fmt.Errorf("send %s: %w: the stream has ended", r.Kind, ErrLost)
	}
	r.Seq = e.seq + 1
	if e.now != nil {
		r.Nanos = e.now()
	}
	if r.End != nil {
		end := *r.End
		end.Records = r.Seq
		r.End = &end
	}
	if err := r.check(); err != nil {
		return fmt.Errorf("send: %w: %w", ErrMalformed, err)
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("send %s: %w", r.Kind, err)
	}
	line = append(line, '\n')
	if len(line) > MaxLine {
		return fmt.Errorf("send %s: %d bytes: %w of %d", r.Kind, len(line), ErrTooLong, MaxLine)
	}
	e.seq++
	if r.Kind == KindEnd {
		e.ended = true
	}
	if _, err := e.w.Write(line); err != nil {
		e.ended = true
		return fmt.Errorf("send %s: %w", r.Kind, err)
	}
	return nil
}

// Decoder reads records and holds them to the rules: numbered without a gap,
// Hello first, End last with the right count.
type Decoder struct {
	r     *bufio.Reader
	read  int64 // bytes of the stream so far
	seq   uint64
	ended bool
}

// NewDecoder returns a Decoder that reads from r.
func NewDecoder(r io.Reader) *Decoder {
	return &Decoder{r: bufio.NewReaderSize(r, 64<<10)}
}

// Next returns the next record. After End and nothing more it returns
// io.EOF; any other error means that the run has no result. A reader's own
// error is wrapped.
func (d *Decoder) Next() (Record, error) {
	line, err := d.line()
	if err != nil {
		if errors.Is(err, io.EOF) && d.ended {
			return Record{}, io.EOF
		}
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w, after %d records", ErrNoEnd, d.seq)
		}
		return Record{}, err
	}
	if d.ended {
		return Record{}, fmt.Errorf("%w: a line follows the end record", ErrLost)
	}
	var r Record
	if err := decodeStrict(line, &r); err != nil {
		return Record{}, fmt.Errorf("%w after record %d: %w: %.80q", ErrMalformed, d.seq, err, line)
	}
	if err := r.check(); err != nil {
		return Record{}, fmt.Errorf("%w after record %d: %w", ErrMalformed, d.seq, err)
	}
	if r.Seq != d.seq+1 {
		return Record{}, fmt.Errorf("%w: expected record %d, found %d", ErrLost, d.seq+1, r.Seq)
	}
	if (r.Seq == 1) != (r.Kind == KindHello) {
		return Record{}, fmt.Errorf("%w: expected hello as record 1 and nowhere else, found %s as record %d",
			ErrLost, r.Kind, r.Seq)
	}
	if r.Kind == KindHello && r.Hello.Version != Version {
		return Record{}, fmt.Errorf("%w: expected version %d, found %d: the guest program is stale",
			ErrMalformed, Version, r.Hello.Version)
	}
	if r.Kind == KindEnd {
		if r.End.Records != r.Seq {
			return Record{}, fmt.Errorf("%w: the end record counts %d, found %d", ErrLost, r.End.Records, r.Seq)
		}
		d.ended = true
	}
	d.seq = r.Seq
	return r, nil
}

// line returns the next line without its newline, io.EOF when there is none.
func (d *Decoder) line() ([]byte, error) {
	var line []byte
	for {
		part, err := d.r.ReadSlice('\n')
		if len(line)+len(part) > MaxLine {
			return nil, fmt.Errorf("after record %d: %w of %d bytes", d.seq, ErrTooLong, MaxLine)
		}
		if d.read += int64(len(part)); d.read > MaxStream {
			return nil, fmt.Errorf("after record %d: all records: %w of %d bytes", d.seq, ErrTooLong, MaxStream)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, fmt.Errorf("%w, after %d records: %.80q", ErrCut, d.seq, line)
		default:
			return nil, err
		}
	}
}
