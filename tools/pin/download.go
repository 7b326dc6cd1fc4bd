// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
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
	opts *FetchOptions
	src  *Source // has size and sum
	url  string
	part string // where it is written; what is there is continued
	step *progress.Step
}

var errStalled = errors.New("nothing arrived any more")

// failure says why a server did not give a file.
type failure struct {
	error
	again bool // it makes sense to ask again
	gone  bool // it has no such file
	wrong bool // what it gave is not what was asked for: nothing of it is kept
}

func (f *failure) Unwrap() error { return f.error }

func (f *failure) ExitCode() int {
	if f.wrong {
		return exit.CheckFailed
	}
	return exit.MachineLacks
}

// ask asks a server for what follows the first bytes of a file. Its errors are
// *failure.
func ask(ctx context.Context, client *http.Client, url string, from int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, &failure{error: err}
	}
	req.Header.Set("Accept-Encoding", "identity") // sums are of the bytes as they are stored
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	resp, err := client.Do(req)
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		if from > 0 || errors.Is(err, errStalled) {
			return nil, &failure{error: err, again: true}
		}
		return nil, &failure{error: fmt.Errorf("%s: not reachable: %w", url, err)}
	}

	status := resp.StatusCode
	if status == http.StatusOK || from > 0 && (status == http.StatusPartialContent || status == http.StatusRequestedRangeNotSatisfiable) {
		return resp, nil
	}
	resp.Body.Close()
	return nil, &failure{
		error: fmt.Errorf("%s: the server answers %d", url, status),
		again: status == http.StatusTooManyRequests || status >= 500,
		gone:  status == http.StatusNotFound || status == http.StatusGone,
	}
}

// run asks for what is missing until the file is complete. When it returns nil,
// d.part has the right sum. If its size or sum is wrong nothing of it is kept;
// after other errors what arrived is kept for the next run.
func (d *download) run(ctx context.Context) error {
	pause, failures, resumed := d.opts.pause, 0, partSize(d.part) > 0
	for try := 1; ; try++ {
		before := partSize(d.part)
		err := d.request(ctx)
		got := partSize(d.part)
		f, ok := errors.AsType[*failure](err)
		if ok && f.wrong || got == 0 {
			os.Remove(d.part)
		}
		if ok && f.wrong && resumed {
			// The part may have been of another file: once more from nothing.
			pause, failures, resumed = d.opts.pause, 0, false
			continue
		}
		if !ok || !f.again || ctx.Err() != nil {
			return err
		}

		// Retry as long as bytes arrive.
		if failures++; got > before {
			failures, pause = 1, d.opts.pause
		}
		if failures >= d.opts.tries {
			return &failure{error: fmt.Errorf("%s: cut off after %d of %s bytes, %d tries: %w; run the command again to continue",
				d.url, got, d.size(), try, f)}
		}
		d.step.Update("cut off after %s (%v), trying again", megabytes(got), f)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// request asks the server for what follows the part, appends it and checks the
// sum.
func (d *download) request(ctx context.Context) error {
	f, err := os.OpenFile(d.part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	there, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	got := there
	if got > d.src.Size {
		got = 0
	} else if got == d.src.Size && d.src.Kind == Debian {
		return d.checkSum(sum)
	}

	// The connection is given up when nothing has arrived for a while.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(d.opts.stall, func() { cancel(errStalled) })
	defer watch.Stop()

	resp, err := ask(ctx, d.opts.Client, d.url, got)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		got = 0 // the server knows no ranges
	case http.StatusRequestedRangeNotSatisfiable:
		return d.wrong("the server has less than the %d bytes that arrived", got)
	default:
		if from := resp.Header.Get("Content-Range"); !strings.HasPrefix(from, fmt.Sprintf("bytes %d-", got)) {
			return d.wrong("asked for what follows byte %d, the server answers with %q", got, from)
		}
	}
	if n := got + resp.ContentLength; resp.ContentLength >= 0 && (n > d.src.Size || n < d.src.Size && d.src.Kind == Debian) {
		return d.wrongSize(n)
	}
	if got < there {
		sum.Reset()
		_, err := f.Seek(0, io.SeekStart)
		if err := errors.Join(err, f.Truncate(0)); err != nil {
			return err
		}
	}

	start, begun, buf := time.Now(), got, make([]byte, 256<<10)
	for err == nil {
		var n int
		n, err = resp.Body.Read(buf)
		watch.Reset(d.opts.stall)
		if _, err := io.MultiWriter(f, sum).Write(buf[:n]); err != nil {
			return err
		}
		if got += int64(n); got > d.src.Size {
			return d.wrongSize(got)
		}
		rate := float64(got-begun) / max(time.Since(start).Seconds(), 1e-3)
		d.step.Update("%s of %s bytes, %s/s", megabytes(got), d.size(), megabytes(int64(rate)))
	}
	if err == io.EOF && d.src.Kind == Debian && got < d.src.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != io.EOF {
		return &failure{error: cmp.Or(context.Cause(ctx), err), again: true}
	}
	return d.checkSum(sum)
}

// size is the size that the file has to have, in bytes.
func (d *download) size() string {
	if d.src.Kind == Debian {
		return fmt.Sprint(d.src.Size)
	}
	return fmt.Sprintf("at most %d", d.src.Size)
}

// wrong says why what arrived is not what was asked for.
func (d *download) wrong(format string, args ...any) error {
	return &failure{error: fmt.Errorf("%s: %w", d.url, fmt.Errorf(format, args...)), wrong: true}
}

func (d *download) wrongSize(n int64) error {
	return d.wrong("has another size than expected: %s bytes, found %d", d.size(), n)
}

func (d *download) checkSum(h hash.Hash) error {
	if found := hex.EncodeToString(h.Sum(nil)); found != d.src.SHA256 {
		return d.wrong("sha256 differs: expected %s, found %s; it was thrown away: try another mirror, or move the pin if the file was replaced on purpose",
			d.src.SHA256, found)
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
