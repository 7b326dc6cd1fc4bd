// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/program"
	"vcpulab/tools/progress"
)

// aptHelper is apt's own downloader. It uses the proxies that the machine has been
// given, tries again, and continues a file that broke off if the server still has
// the same one.
const aptHelper = "/usr/lib/apt/apt-helper"

// aptOptions are for one download, which root keeps: another user may not write to the cache.
var aptOptions = []string{
	"-o=APT::Sandbox::User=root", "-o=Acquire::Retries=5", "-o=Acquire::http::Timeout=30", "-o=Acquire::https::Timeout=30",
}

// failure says why a server did not give a file.
type failure struct {
	error
	busy  bool // it makes sense to ask again
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

// fetch downloads the file of a source from url to the file part, continuing what
// is there, and verifies it. If its size or sum is wrong nothing of it is kept;
// after other errors what arrived is kept for the next run.
func (o *FetchOptions) fetch(ctx context.Context, src *Source, url, part string, step *progress.Step) error {
	if src.verify(url, part) == nil {
		return nil // an earlier run was interrupted after the download
	}
	if fileSize(part) >= src.Size {
		os.Remove(part) // there is nothing to continue
	}
	resumed := fileSize(part) > 0
	err := o.get(ctx, url, part, src.Size, step)
	if err == nil || fileSize(part) > src.Size {
		err = src.verify(url, part)
	}

	f, ok := errors.AsType[*failure](err)
	if ok && f.wrong || fileSize(part) == 0 {
		os.Remove(part)
	}
	switch {
	case ok && f.wrong && resumed:
		// The part may have been of another file: once more from nothing.
		return o.fetch(ctx, src, url, part, step)
	case ok && fileSize(part) > 0:
		return &failure{error: fmt.Errorf("%w; %d of %s bytes arrived: run the command again to continue", f, fileSize(part), src.size())}
	}
	return err
}

// get downloads a file of at most limit bytes, and asks a busy server again.
func (o *FetchOptions) get(ctx context.Context, url, to string, limit int64, step *progress.Step) error {
	for pause := o.pause; ; pause *= 2 {
		err := o.ask(ctx, url, to, limit, step)
		if f, ok := errors.AsType[*failure](err); !ok || !f.busy || pause > 10*o.pause {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// failed is apt's message, which begins with the server's status if it gave one.
var failed = regexp.MustCompile(`(?m)^E: Failed to fetch \S+ +((\d{3} )?.*)$`)

// ask downloads a file of at most limit bytes. Errors but this machine's own are *failure.
func (o *FetchOptions) ask(ctx context.Context, url, to string, limit int64, step *progress.Step) error {
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for {
			select {
			case <-bounded.Done():
				return
			case <-time.After(time.Second / 10):
			}
			if n := fileSize(to); n > limit {
				cancel()
			} else if n > 0 {
				step.Update("%s of %s", megabytes(n), megabytes(limit))
			}
		}
	}()

	// On SIGTERM apt notes which version of the file it has a part of.
	apt := program.Program{Name: aptHelper, InheritEnv: true, Env: []string{"LC_ALL=C"}, Stop: syscall.SIGTERM, Grace: 10 * time.Second}
	_, said, err := apt.Run(bounded, slices.Concat(aptOptions, o.apt, []string{"download-file", url, to})...)
	if n := fileSize(to); n > limit {
		return wrong(url, "has more than %d bytes, the most that is taken", limit)
	}
	m := failed.FindStringSubmatch(string(said))
	if err == nil || ctx.Err() != nil || m == nil {
		return err
	}
	return &failure{
		error: fmt.Errorf("%s: %s", url, m[1]),
		busy:  m[2] == "429 " || strings.HasPrefix(m[2], "5"),
		gone:  m[2] == "404 " || m[2] == "410 ",
	}
}

// read has read read a list that a server publishes.
func (o *FetchOptions) read(ctx context.Context, url string, read func(io.Reader) error) (err error) {
	dir, remove, err := o.Cache.Scratch("list")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	file := filepath.Join(dir, "list")
	if err := o.get(ctx, url, file, maxIndex, nil); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(f); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}

// size is the size that the file has to have, in bytes.
func (s *Source) size() string {
	if s.Kind == Debian {
		return fmt.Sprint(s.Size)
	}
	return fmt.Sprintf("at most %d", s.Size)
}

// verify returns an error if a file that was downloaded has another size or sum.
func (s *Source) verify(url, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if n > s.Size || n < s.Size && s.Kind == Debian {
		return wrong(url, "has another size than expected: %s bytes, found %d", s.size(), n)
	}
	if found := hex.EncodeToString(sum.Sum(nil)); found != s.SHA256 {
		return wrong(url, "sha256 differs: expected %s, found %s; it was thrown away: try another mirror, or move the pin if the file was replaced on purpose",
			s.SHA256, found)
	}
	return nil
}

// wrong says why what arrived is not what was asked for.
func wrong(url, format string, args ...any) error {
	return &failure{error: fmt.Errorf("%s: %w", url, fmt.Errorf(format, args...)), wrong: true}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// fileSize returns how many bytes of a download are there already.
func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}
