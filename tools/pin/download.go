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

// download downloads the file of a source and continues one that broke off.
type download struct {
	client *http.Client
	src    *Source // has size and sum
	url    string
	part   string // where it is written; what is there is continued
	step   *progress.Step

	tries        int // see FetchOptions
	pause, stall time.Duration
}

var (
	errNotFound = errors.New("no such file on the server")
	errStalled  = errors.New("nothing arrived any more")
)

// cutError is the end of a connection after which a retry makes sense.
type cutError struct{ error }

func (e *cutError) Unwrap() error { return e.error }

// wrongError says that what arrived is not what was asked for. Nothing of it is
// kept.
type wrongError struct{ error }

func (e *wrongError) ExitCode() int { return exit.CheckFailed }

// open asks a server for what follows the first bytes of a file. A *cutError
// says that it is worth to ask again.
func open(ctx context.Context, client *http.Client, url string, from int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, exit.With(exit.MachineLacks, err)
	}
	req.Header.Set("Accept-Encoding", "identity") // sums are of the bytes as they are stored
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	resp, err := client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		if from > 0 || errors.Is(err, errStalled) {
			return nil, &cutError{err}
		}
		return nil, exit.With(exit.MachineLacks, fmt.Errorf("%s: not reachable: %w", url, err))
	}

	status := resp.StatusCode
	if status == http.StatusOK || from > 0 && (status == http.StatusPartialContent || status == http.StatusRequestedRangeNotSatisfiable) {
		return resp, nil
	}
	resp.Body.Close()
	err = fmt.Errorf("%s: the server answers %d", url, status)
	if status == http.StatusNotFound || status == http.StatusGone {
		err = fmt.Errorf("%w: %w", err, errNotFound)
	}
	err = exit.With(exit.MachineLacks, err)
	if status == http.StatusTooManyRequests || status >= 500 {
		err = &cutError{err}
	}
	return nil, err
}

// run downloads the file. When it returns nil, d.part is complete and has the
// right sum. If its size or sum is wrong nothing of it is kept; after other
// errors what arrived is kept for the next run.
func (d *download) run(ctx context.Context) error {
	resumed := partSize(d.part) > 0
	err := d.complete(ctx)
	_, wrong := errors.AsType[*wrongError](err)
	if wrong && resumed {
		// The part may have been of another file: once more from nothing.
		os.Remove(d.part)
		err = d.complete(ctx)
		_, wrong = errors.AsType[*wrongError](err)
	}
	if wrong || partSize(d.part) == 0 {
		os.Remove(d.part)
	}
	return err
}

// complete asks for what is missing until the file is complete, and checks it.
func (d *download) complete(ctx context.Context) error {
	pause, failures := d.pause, 0
	for try := 1; ; try++ {
		before := partSize(d.part)
		err := d.request(ctx)
		if err == nil {
			return d.checkSum()
		}
		cut, ok := errors.AsType[*cutError](err)
		if !ok || ctx.Err() != nil {
			return err
		}

		// Retry as long as bytes arrive.
		got := partSize(d.part)
		if failures++; got > before {
			failures, pause = 1, d.pause
		}
		if failures >= d.tries {
			return exit.With(exit.MachineLacks, fmt.Errorf("%s: cut off after %d of %s bytes, %d tries: %w; run the command again to continue",
				d.url, got, d.size(), try, cut))
		}
		d.step.Update("cut off after %s (%v), trying again", megabytes(got), cut)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
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
	if got > d.src.Size {
		got = 0
	} else if got == d.src.Size && d.src.Kind == Debian {
		return nil
	}

	// The connection is given up when nothing has arrived for a while.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(d.stall, func() { cancel(errStalled) })
	defer watch.Stop()

	resp, err := open(ctx, d.client, d.url, got)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		got = 0 // the server knows no ranges
	case http.StatusRequestedRangeNotSatisfiable:
		return &wrongError{fmt.Errorf("%s: the server has less than the %d bytes that arrived", d.url, got)}
	default:
		if from := resp.Header.Get("Content-Range"); !strings.HasPrefix(from, fmt.Sprintf("bytes %d-", got)) {
			return &wrongError{fmt.Errorf("%s: asked for what follows byte %d, the server answers with %q", d.url, got, from)}
		}
	}
	if n := got + resp.ContentLength; resp.ContentLength >= 0 && (n > d.src.Size || n < d.src.Size && d.src.Kind == Debian) {
		return d.wrongSize(n)
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
		if got += int64(n); got > d.src.Size {
			return d.wrongSize(got)
		}
		rate := float64(got-begun) / max(time.Since(start).Seconds(), 1e-3)
		d.step.Update("%s of %s bytes, %s/s", megabytes(got), d.size(), megabytes(int64(rate)))

		if rerr == io.EOF && d.src.Kind == Debian && got < d.src.Size {
			rerr = io.ErrUnexpectedEOF
		}
		switch {
		case rerr == io.EOF:
			return f.Sync()
		case rerr != nil && context.Cause(ctx) != nil:
			return &cutError{context.Cause(ctx)}
		case rerr != nil:
			return &cutError{rerr}
		}
	}
}

// size is the size that the file has to have, in bytes.
func (d *download) size() string {
	if d.src.Kind == Debian {
		return fmt.Sprint(d.src.Size)
	}
	return fmt.Sprintf("at most %d", d.src.Size)
}

func (d *download) wrongSize(n int64) error {
	return &wrongError{fmt.Errorf("%s: has another size than expected: %s bytes, found %d", d.url, d.size(), n)}
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
	if found := hex.EncodeToString(h.Sum(nil)); found != d.src.SHA256 {
		return &wrongError{fmt.Errorf("%s: sha256 differs: expected %s, found %s; it was thrown away: try another mirror, or move the pin if the file was replaced on purpose",
			d.url, d.src.SHA256, found)}
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
