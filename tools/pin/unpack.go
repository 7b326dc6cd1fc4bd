// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"

	"vcpulab/tools/program"
)

// needUnpackers checks before a long download that it can be unpacked.
func needUnpackers() error {
	for _, name := range []string{"xz", "tar", "dpkg-deb"} {
		if _, err := exec.LookPath(name); err != nil {
			return &program.MissingError{Program: name, Err: err}
		}
	}
	return nil
}

// unpack unpacks the kernel in archive, a .tar.xz or, with a member, a .deb that holds
// such a file, into the empty directory dir, without its top-level directory, and calls
// each with the name of each file. All is one stream: only the kernel's files are written.
// They get their times from the archive, which [Pin.Update] needs.
func unpack(ctx context.Context, archive, member, dir string, each func(name string)) error {
	names := func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			if name := lines.Text(); !strings.HasSuffix(name, "/") {
				each(name)
			}
		}
		return lines.Err()
	}
	// tar writes nothing outside of dir, also by way of links in the archive.
	kernel := func(r io.Reader) error {
		return pipe(ctx, r, names, "tar", "--extract", "--verbose", "--use-compress-program=xz -T0", "--strip-components=1",
			"--no-same-owner", "--same-permissions", "--directory="+dir)
	}
	if member != "" {
		return pipe(ctx, nil, func(r io.Reader) error {
			return pipe(ctx, r, kernel, "tar", "-xO", "./"+path.Clean(member))
		}, "dpkg-deb", "--fsys-tarfile", archive)
	}
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	return kernel(f)
}

// pipe runs a program and has read read what it prints. What read leaves over
// is skipped, so that the program finishes its own checks.
func pipe(ctx context.Context, stdin io.Reader, read func(io.Reader) error, name string, args ...string) error {
	process, err := program.Program{Name: name, Stdin: stdin, PipeStdout: true}.Start(ctx, args...)
	if err != nil {
		return err
	}

	err = read(process.Stdout)
	if _, next := errors.AsType[*program.StatusError](err); err != nil && !next && !errors.Is(err, io.ErrUnexpectedEOF) {
		process.Kill() // it may be waiting for a reader
		process.Wait()
		return errors.Join(ctx.Err(), err)
	}
	_, left := io.Copy(io.Discard, process.Stdout)
	// If the stream ended early, the first program knows best why.
	return cmp.Or(process.Wait(), err, left)
}
