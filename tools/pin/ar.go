// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// arReader reads an ar archive, which a .deb is, member by member.
type arReader struct {
	r    io.Reader
	left int64 // bytes of the current member that were not read
	pad  bool  // whether a byte follows that makes the member's size even
}

const (
	arMagic  = "!<arch>\n"
	arHeader = 60 // bytes before each member
)

var errNotAr = errors.New("is no ar archive")

func newArReader(r io.Reader) (*arReader, error) {
	magic := make([]byte, len(arMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return nil, cutOff(err)
	}
	if string(magic) != arMagic {
		return nil, errNotAr
	}
	return &arReader{r: r}, nil
}

// next goes to the next member and returns its name and size; io.EOF after
// the last one. The member's content is what Read gives then.
func (a *arReader) next() (name string, size int64, err error) {
	skip := a.left
	if a.pad {
		skip++
	}
	if n, err := io.CopyN(io.Discard, a.r, skip); err != nil {
		// Some writers leave the last padding out.
		if err == io.EOF && a.pad && n == a.left {
			return "", 0, io.EOF
		}
		return "", 0, cutOff(err)
	}
	a.left, a.pad = 0, false
	var h [arHeader]byte
	if _, err := io.ReadFull(a.r, h[:]); err == io.EOF {
		return "", 0, io.EOF
	} else if err != nil {
		return "", 0, cutOff(err)
	}
	if h[58] != '`' || h[59] != '\n' {
		return "", 0, errors.New("damaged ar header")
	}
	// GNU ar ends names with a slash, dpkg does not.
	name = strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/")
	size, err = strconv.ParseInt(strings.TrimRight(string(h[48:58]), " "), 10, 64)
	if err != nil || size < 0 {
		return "", 0, fmt.Errorf("ar member %q: %q is no size", name, h[48:58])
	}
	a.left, a.pad = size, size%2 == 1
	return name, size, nil
}

// Read reads from the current member and returns io.EOF at its end.
func (a *arReader) Read(p []byte) (int, error) {
	if a.left == 0 {
		return 0, io.EOF
	}
	n, err := a.r.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	if err == io.EOF && a.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// cutOff makes an end where more was to come an error of its own.
func cutOff(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
