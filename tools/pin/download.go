// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"vcpulab/tools/progress"
)

// download is a file that is fetched from one of several addresses into a
// file of the same content.
type download struct {
	client *http.Client
	name   string // what it is, for errors and progress
	url    string
	part   string // where it is written; what is there already is gone on from
	size   int64  // bytes; the most that is accepted unless exact
	exact  bool   // whether size is the size
	sha256 string
	step   *progress.Step

	tries int           // how often a download that breaks off is gone on with, without a byte in between
	pause time.Duration // before the first of these; it doubles
	stall time.Duration // how long no byte may arrive
}

// Defaults of a download.
const (
	downloadTries = 5
	downloadPause = time.Second
	downloadStall = 30 * time.Second
)

// errStalled is what a connection is given up with that gives no bytes.
var errStalled = errors.New("nothing arrived any more")

// validator is what tells a server which version of a file was begun with. It
// is kept beside the partial file.
type validator struct {
	URL          string `json:"url"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
}

// ifRange is the value for the header of that name, "" for none. A weak ETag
// does not say that the bytes are the same.
func (v *validator) ifRange(url string) string {
	if v.URL != url {
		return ""
	}
	if v.ETag != "" && !strings.HasPrefix(v.ETag, "W/") {
		return v.ETag
	}
	return v.LastModified
}

// run fetches the file. When it returns nil, the file d.part is whole and has
// the right sum. After an error that cannot be got over by going on (the sum
// or the size differs) nothing of it is left; after others what arrived is
// kept for the next run.
func (d *download) run(ctx context.Context) error {
	err := d.whole(ctx)
	var sum *ChecksumError
	var size *SizeError
	switch {
	case err == nil:
		os.Remove(d.part + ".json")
	case errors.As(err, &sum) || errors.As(err, &size) || partSize(d.part) == 0:
		removePart(d.part)
	}
	return err
}

func (d *download) whole(ctx context.Context) error {
	f, err := os.OpenFile(d.part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("download %s: %w", d.name, err)
	}
	defer f.Close()
	h := sha256.New()
	got, err := io.Copy(h, f)
	if err != nil {
		return fmt.Errorf("download %s: read what is there already: %w", d.name, err)
	}
	resumed := got > 0

	start, pause, failures, tries := time.Now(), d.pause, 0, 0
	begun := got
	for !d.exact || got != d.size {
		tries++
		before := got
		var done bool
		got, done, err = d.once(ctx, f, h, got, func(got int64) {
			d.show(got, float64(got-begun)/max(time.Since(start).Seconds(), 1e-3))
		})
		if done {
			break
		}
		if got < begun {
			begun, resumed = 0, false // it began anew
		}
		var cut *cutError
		if err == nil || !errors.As(err, &cut) {
			if err != nil {
				return err
			}
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// As long as bytes arrive it is worth going on.
		if failures++; got > before {
			failures, pause = 1, d.pause
		}
		if failures >= d.tries {
			size := d.size
			if !d.exact {
				size = 0
			}
			return &CutOffError{File: d.url, Got: got, Size: size, Tries: tries, Err: cut.err}
		}
		d.step.Update("cut off after %s (%v), trying again", megabytes(got), cut.err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("download %s: %w", d.name, err)
	}
	found := hex.EncodeToString(h.Sum(nil))
	switch {
	case found == d.sha256:
		return nil
	case resumed:
		// The part may have been from another file: once more from nothing.
		f.Close()
		removePart(d.part)
		return d.whole(ctx)
	}
	return &ChecksumError{File: d.url, Expected: d.sha256, Found: found}
}

// cutError is the end of a connection that may be gone on from.
type cutError struct{ err error }

func (e *cutError) Error() string { return e.err.Error() }
func (e *cutError) Unwrap() error { return e.err }

// once asks the server for what follows the first got bytes and writes it to
// f and h. It returns how much there is then; done says that this is all.
func (d *download) once(ctx context.Context, f *os.File, h hash.Hash, got int64, show func(int64)) (total int64, done bool, err error) {
	// The connection is given up when nothing has arrived for a while.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(d.stall, func() { cancel(errStalled) })
	defer watch.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return got, false, &UnreachableError{URL: d.url, Err: err}
	}
	// Sums are of the bytes as they are stored.
	req.Header.Set("Accept-Encoding", "identity")
	if got > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", got))
		if v := d.loadValidator().ifRange(d.url); v != "" {
			req.Header.Set("If-Range", v)
		}
	}
	resp, err := d.client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
			err = cause
		}
		if got > 0 || errors.Is(err, errStalled) {
			return got, false, &cutError{err}
		}
		return got, false, &UnreachableError{URL: d.url, Err: err}
	}
	defer resp.Body.Close()

	switch resp.StatusCode {
	case http.StatusOK:
		if got > 0 {
			// The server knows no ranges or has another version: from the
			// beginning.
			got = 0
			h.Reset()
			if err := f.Truncate(0); err != nil {
				return got, false, fmt.Errorf("download %s: %w", d.name, err)
			}
		}
		if n := resp.ContentLength; n >= 0 && (n > d.size || d.exact && n != d.size) {
			return got, false, &SizeError{File: d.url, Expected: d.size, Found: n}
		}
	case http.StatusPartialContent:
		from, size, err := parseContentRange(resp.Header.Get("Content-Range"))
		if err != nil || from != got {
			return got, false, &UnreachableError{URL: d.url, Err: fmt.Errorf("asked for what follows byte %d, the server answers with %q", got, resp.Header.Get("Content-Range"))}
		}
		if size >= 0 && (size > d.size || d.exact && size != d.size) {
			return got, false, &SizeError{File: d.url, Expected: d.size, Found: size}
		}
		if size == got {
			return got, true, nil
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if got == 0 {
			return 0, false, &UnreachableError{URL: d.url, Status: resp.StatusCode}
		}
		// What is there is as long as the file, or not of it.
		if _, size, err := parseContentRange(resp.Header.Get("Content-Range")); err == nil && size == got {
			return got, true, nil
		}
		h.Reset()
		if err := f.Truncate(0); err != nil {
			return 0, false, fmt.Errorf("download %s: %w", d.name, err)
		}
		return 0, false, nil
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return got, false, &cutError{&UnreachableError{URL: d.url, Status: resp.StatusCode}}
	default:
		return got, false, &UnreachableError{URL: d.url, Status: resp.StatusCode}
	}
	if err := d.saveValidator(resp); err != nil {
		return got, false, fmt.Errorf("download %s: %w", d.name, err)
	}
	if _, err := f.Seek(got, io.SeekStart); err != nil {
		return got, false, fmt.Errorf("download %s: %w", d.name, err)
	}

	buf := make([]byte, 256<<10)
	for {
		n, rerr := resp.Body.Read(buf)
		watch.Reset(d.stall)
		if int64(n) > d.size-got {
			return got, false, &SizeError{File: d.url, Expected: d.size, Found: got + int64(n)}
		}
		if n > 0 {
			if _, err := f.Write(buf[:n]); err != nil {
				return got, false, fmt.Errorf("download %s: %w", d.name, err)
			}
			h.Write(buf[:n])
			got += int64(n)
			show(got)
		}
		switch {
		case rerr == io.EOF && (!d.exact || got == d.size):
			return got, true, nil
		case rerr != nil:
			if cause := context.Cause(ctx); cause != nil {
				rerr = cause
			}
			return got, false, &cutError{cutOff(rerr)}
		}
	}
}

func (d *download) loadValidator() *validator {
	v := &validator{}
	if data, err := os.ReadFile(d.part + ".json"); err == nil {
		if json.Unmarshal(data, v) != nil {
			return &validator{}
		}
	}
	return v
}

func (d *download) saveValidator(resp *http.Response) error {
	data, err := json.Marshal(validator{URL: d.url, ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified")})
	if err != nil {
		return err
	}
	return os.WriteFile(d.part+".json", data, 0o644)
}

// show says how far the download is; rate is in bytes per second.
func (d *download) show(got int64, rate float64) {
	if !d.exact {
		d.step.Update("%s, %s/s", megabytes(got), megabytes(int64(rate)))
		return
	}
	d.step.Update("%d%%, %s of %s, %s/s", got*100/d.size, megabytes(got), megabytes(d.size), megabytes(int64(rate)))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// parseContentRange reads the header of that name: "bytes 5-9/10",
// "bytes 5-9/*" or "bytes */10". What is not known is -1.
func parseContentRange(s string) (from, size int64, err error) {
	bad := fmt.Errorf("%.80q is no Content-Range", s)
	rest, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return -1, -1, bad
	}
	span, total, ok := strings.Cut(rest, "/")
	if !ok {
		return -1, -1, bad
	}
	from, size = -1, -1
	if total != "*" {
		if size, err = strconv.ParseInt(total, 10, 64); err != nil || size < 0 {
			return -1, -1, bad
		}
	}
	if span != "*" {
		first, last, ok := strings.Cut(span, "-")
		if !ok {
			return -1, -1, bad
		}
		from, err = strconv.ParseInt(first, 10, 64)
		if err != nil || from < 0 {
			return -1, -1, bad
		}
		if to, err := strconv.ParseInt(last, 10, 64); err != nil || to < from || size >= 0 && to >= size {
			return -1, -1, bad
		}
	}
	return from, size, nil
}

// partSize returns how many bytes of a download are there already.
func partSize(part string) int64 {
	info, err := os.Stat(part)
	if err != nil || errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	return info.Size()
}
