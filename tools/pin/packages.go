// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
)

// Package is a package as the index of a Debian suite lists it.
type Package struct {
	Name    string
	Version string
	Path    string // on a mirror
	Size    int64  // bytes
	SHA256  string
}

// maxLine is the longest line that is read from a package index.
const maxLine = 1 << 20

// parsePackages reads the index of a Debian suite and returns the packages
// whose names begin with prefix, in the order of the index.
func parsePackages(r io.Reader, prefix string) ([]Package, error) {
	var found []Package
	var p Package
	add := func() error {
		if p.Name != "" && strings.HasPrefix(p.Name, prefix) {
			if p.Version == "" || p.Path == "" {
				return fmt.Errorf("package index: %s has no Version or no Filename", p.Name)
			}
			found = append(found, p)
		}
		p = Package{}
		return nil
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	n := 0
	for lines.Scan() {
		n++
		line := lines.Text()
		if strings.TrimSpace(line) == "" {
			if err := add(); err != nil {
				return nil, err
			}
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			continue // goes on with the field above: none that is wanted
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("package index, line %d: %.60q is no field", n, line)
		}
		value = strings.TrimSpace(value)
		switch key {
		case "Package":
			p.Name = value
		case "Version":
			p.Version = value
		case "Filename":
			if !fs.ValidPath(value) {
				return nil, fmt.Errorf("package index, line %d: %.60q is no path", n, value)
			}
			p.Path = value
		case "Size":
			size, err := strconv.ParseInt(value, 10, 64)
			if err != nil || size < 0 {
				return nil, fmt.Errorf("package index, line %d: %.60q is no size", n, value)
			}
			p.Size = size
		case "SHA256":
			p.SHA256 = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("package index, line %d: %w", n+1, err)
	}
	if err := add(); err != nil {
		return nil, err
	}
	return found, nil
}
