// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"vcpulab/tools/tree"
)

// unpackArchive unpacks the kernel in file, a .deb that has a tarball as
// member or a .tar.xz, into the empty folder dir. All is one stream: nothing
// but the files of the kernel is written. name is what the archive is called
// in errors, which are *ArchiveError unless the disk is full or ctx ended.
func unpackArchive(ctx context.Context, file, name, member, dir string, progress func(files int)) (entries []tree.Entry, err error) {
	defer func() {
		if err == nil {
			return
		}
		var ae *ArchiveError
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case errors.As(err, &ae):
			ae.Archive = name
		default:
			err = &ArchiveError{Archive: name, Err: err}
		}
	}()
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if member == "" {
		return untarXZ(ctx, f, dir, progress)
	}

	data, err := debData(f)
	if err != nil {
		return nil, err
	}
	outer, err := unxz(ctx, data)
	if err != nil {
		return nil, err
	}
	defer outer.Close()
	in := tar.NewReader(outer)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return nil, fmt.Errorf("it has no %s", member)
		}
		if err != nil {
			return nil, cutOff(err)
		}
		if h.Typeflag == tar.TypeReg && path.Clean(h.Name) == path.Clean(member) {
			entries, err := untarXZ(ctx, in, dir, progress)
			if err == nil {
				// What follows matters only for being whole.
				_, err = io.Copy(io.Discard, outer)
			}
			return entries, err
		}
	}
}

// untarXZ unpacks a .tar.xz stream.
func untarXZ(ctx context.Context, r io.Reader, dir string, progress func(files int)) ([]tree.Entry, error) {
	x, err := unxz(ctx, r)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	return untar(ctx, x, dir, kernelLimits, progress)
}

// debData goes to the files of a .deb: its member data.tar.xz.
func debData(r io.Reader) (io.Reader, error) {
	ar, err := newArReader(r)
	if err != nil {
		return nil, err
	}
	for {
		name, _, err := ar.next()
		switch {
		case err == io.EOF:
			return nil, errors.New("it has no data.tar.xz: is it a .deb?")
		case err != nil:
			return nil, err
		case name == "data.tar.xz":
			return ar, nil
		case strings.HasPrefix(name, "data.tar"):
			return nil, fmt.Errorf("%s: only data.tar.xz can be unpacked", name)
		}
	}
}
