// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
)

// download downloads a file and continues one that broke off.
type download struct {
	client *http.Client
	url    string
	part   string // where it is written; what is there is continued
	size   int64  // bytes; the most that is accepted unless exact
	exact  bool   // whether size is the size
	sha256 string
	step   *progress.Step

	tries int           // how often in a row a download may break off without a byte arriving
	pause time.Duration // before the first retry; it doubles
	stall time.Duration // how long no byte may arrive
}

// Defaults of a download.
const (
	downloadTries = 5
	downloadPause = time.Second
	downloadStall = 30 * time.Second
)

var (
	// errNotFound says that a server does not have a file.
	errNotFound = errors.New("no such file on the server")
	errStalled  = errors.New("nothing arrived any more")
	errUseless  = errors.New("") // wrapped where what arrived cannot be continued
)

// cutError is the end of a connection after which a retry makes sense.
type cutError struct{ err error }

func (e *cutError) Error() string { return e.err.Error() }
func (e *cutError) Unwrap() error { return e.err }

// unreachable returns the error for a server that gave no usable answer.
func unreachable(url string, err error) error {
	return exit.With(exit.MachineLacks, fmt.Errorf("%s: not reachable: %w", url, err))
}

// useless is an error after which nothing that arrived is kept.
func useless(format string, args ...any) error {
	return exit.With(exit.CheckFailed, fmt.Errorf("%w"+format, append([]any{errUseless}, args...)...))
}

// checkStatus returns the error for an answer without the file.
func checkStatus(url string, status int) error {
	var cause error
	switch status {
	case http.StatusOK, http.StatusPartialContent:
		return nil
	case http.StatusNotFound, http.StatusGone:
		cause = errNotFound
	}
	err := fmt.Errorf("%s: the server answers %d", url, status)
	if cause != nil {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	err = exit.With(exit.MachineLacks, err)
	if status == http.StatusTooManyRequests || status >= 500 {
		return &cutError{err}
	}
	return err
}

// run downloads the file. When it returns nil, d.part is complete and has the
// right sum. If its size or sum is wrong nothing of it is kept; after other
// errors what arrived is kept for the next run.
func (d *download) run(ctx context.Context) error {
	resumed := partSize(d.part) > 0
	err := d.complete(ctx)
	if err == nil {
		err = d.checkSum()
		if err != nil && resumed {
			// The part may have been of another file: once more from nothing.
			os.Remove(d.part)
			if err = d.complete(ctx); err == nil {
				err = d.checkSum()
			}
		}
	}
	if errors.Is(err, errUseless) || partSize(d.part) == 0 {
		os.Remove(d.part)
	}
	return err
}

// complete asks for what is missing until the file is complete.
func (d *download) complete(ctx context.Context) error {
	pause, failures := d.pause, 0
	for try := 1; ; try++ {
		before := partSize(d.part)
		err := d.request(ctx)
		var cut *cutError
		if !errors.As(err, &cut) || ctx.Err() != nil {
			return err
		}

		// Retry as long as bytes arrive.
		got := partSize(d.part)
		if failures++; got > before {
			failures, pause = 1, d.pause
		}
		if failures >= d.tries {
			return d.cutOff(got, try, cut.err)
		}
		d.step.Update("cut off after %s (%v), trying again", megabytes(got), cut.err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

func (d *download) cutOff(got int64, tries int, err error) error {
	size, next := "", "run the command again"
	if d.exact {
		size = fmt.Sprintf(" of %d", d.size)
	}
	if got > 0 {
		next = "what arrived is kept: run the command again to continue"
	}
	return exit.With(exit.MachineLacks, fmt.Errorf("%s: cut off after %d%s bytes, %d tries: %w; %s", d.url, got, size, tries, err, next))
}

// request asks the server for what follows the part, and appends it. A
// *cutError says that the connection broke off.
func (d *download) request(ctx context.Context) error {
	f, err := os.OpenFile(d.part, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("download %s: %w", d.url, err)
	}
	defer f.Close()
	got := partSize(d.part)
	if got > d.size {
		got = 0
	} else if d.exact && got == d.size {
		return nil
	}

	// The connection is given up when nothing has arrived for a while.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(d.stall, func() { cancel(errStalled) })
	defer watch.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return unreachable(d.url, err)
	}
	req.Header.Set("Accept-Encoding", "identity") // the sum is of the bytes as they are stored
	if got > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", got))
	}
	resp, err := d.client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		if got > 0 || errors.Is(err, errStalled) {
			return &cutError{err}
		}
		return unreachable(d.url, err)
	}
	defer resp.Body.Close()

	switch {
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && got > 0:
		os.Remove(d.part)
		return &cutError{errors.New("the server has less than what arrived")}
	case resp.StatusCode == http.StatusPartialContent:
		if from := resp.Header.Get("Content-Range"); !strings.HasPrefix(from, fmt.Sprintf("bytes %d-", got)) {
			return unreachable(d.url, fmt.Errorf("asked for what follows byte %d, the server answers with %q", got, from))
		}
	default:
		if err := checkStatus(d.url, resp.StatusCode); err != nil {
			return err
		}
		got = 0 // the server knows no ranges
	}
	if n := resp.ContentLength; n >= 0 {
		if err := d.checkSize(got+n, true); err != nil {
			return err
		}
	}
	if err := f.Truncate(got); err != nil {
		return fmt.Errorf("download %s: %w", d.url, err)
	}
	return d.receive(ctx, f, resp.Body, got, watch)
}

// receive appends what the server sends after the first got bytes.
func (d *download) receive(ctx context.Context, f *os.File, body io.Reader, got int64, watch *time.Timer) error {
	start, begun := time.Now(), got
	buf := make([]byte, 256<<10)
	for {
		n, rerr := body.Read(buf)
		watch.Reset(d.stall)
		if _, err := f.Write(buf[:n]); err != nil {
			return fmt.Errorf("download %s: %w", d.url, err)
		}
		got += int64(n)
		if err := d.checkSize(got, false); err != nil {
			return err
		}

		rate := megabytes(int64(float64(got-begun) / max(time.Since(start).Seconds(), 1e-3)))
		if d.exact {
			d.step.Update("%d%%, %s of %s, %s/s", got*100/d.size, megabytes(got), megabytes(d.size), rate)
		} else {
			d.step.Update("%s, %s/s", megabytes(got), rate)
		}
		switch {
		case rerr == io.EOF && (!d.exact || got == d.size):
			return f.Sync()
		case rerr == io.EOF:
			return &cutError{io.ErrUnexpectedEOF}
		case rerr != nil && context.Cause(ctx) != nil:
			return &cutError{context.Cause(ctx)}
		case rerr != nil:
			return &cutError{rerr}
		}
	}
}

// checkSize checks a size in bytes: of the file if complete, else of what has
// arrived.
func (d *download) checkSize(n int64, complete bool) error {
	switch {
	case n > d.size:
		return useless("%s: is larger than expected: at most %d bytes, found %d", d.url, d.size, n)
	case complete && d.exact && n != d.size:
		return useless("%s: has another size than expected: %d bytes, found %d", d.url, d.size, n)
	}
	return nil
}

func (d *download) checkSum() error {
	f, err := os.Open(d.part)
	if err != nil {
		return fmt.Errorf("download %s: %w", d.url, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("download %s: %w", d.url, err)
	}

	if found := hex.EncodeToString(h.Sum(nil)); found != d.sha256 {
		return useless("%s: sha256 differs: expected %s, found %s; it was thrown away: try another mirror, or move the pin if the file was replaced on purpose",
			d.url, d.sha256, found)
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// partSize returns how many bytes of a download are there already.
func partSize(part string) int64 {
	info, err := os.Stat(part)
	if err != nil {
		return 0
	}
	return info.Size()
}
