// SPDX-License-Identifier: GPL-2.0-only

// Package pin fetches the kernel that the series is made against and verifies
// that it is that kernel.
//
// A pin is a TOML file: a version, the sources that it can come from in the
// order in which they are tried, and git's blob id of every file that the
// series touches or builds on. Whichever source it comes from, the content of
// these files is verified when it is unpacked and at each later use.
//
// [Find] reads one of the pins of a directory, [Pin.Fetch] gives its tree, and
// [UserTree] a tree of the user's own in its place. [New] makes a pin, and
// [Regenerate] updates its blob ids.
package pin

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"vcpulab/tools/exit"
)

// Pin is a pinned kernel.
type Pin struct {
	// Version is the kernel's version as its Makefile has it ("7.3.4").
	Version string `toml:"version"`
	// Sources are where the kernel can be fetched from, in the order in which
	// they are tried.
	Sources []Source `toml:"source"`
	// Blobs holds git's blob ids of the files that the series touches or
	// builds on.
	Blobs Blobs `toml:"blobs"`
	// File is the path of the file that it was read from. Default says that
	// Find found it without a name, or would have.
	File    string `toml:"-"`
	Default bool   `toml:"-"`
}

// Kind is the kind of a source.
type Kind string

// The kinds of sources.
const (
	// Debian is a Debian package with the kernel's source. Its mirror is the
	// machine's own.
	Debian Kind = "debian"
	// Upstream is kernel.org's tarball.
	Upstream Kind = "upstream"
)

// Source is a place where a pinned kernel can be fetched from.
type Source struct {
	Kind Kind `toml:"kind"`

	// Package, PackageVersion and Suite name a Debian package. Path is the
	// .deb's path on a mirror, Member the path of the tarball in it.
	Package        string `toml:"package,omitempty"`
	PackageVersion string `toml:"package-version,omitempty"`
	Suite          string `toml:"suite,omitempty"`
	Path           string `toml:"path,omitempty"`
	Member         string `toml:"member,omitempty"`

	// URL is the address of an upstream tarball, Sums that of the list with
	// its SHA-256.
	URL  string `toml:"url,omitempty"`
	Sums string `toml:"sums,omitempty"`

	// Size is the size of the download in bytes. For a tarball, whose size is
	// not published, it is the most that is accepted.
	Size int64 `toml:"size"`
	// SHA256 is the sum of the download, in hexadecimal. Without it the sum
	// in the list at Sums is used.
	SHA256 string `toml:"sha256,omitempty"`
}

// String names the source for people.
func (s *Source) String() string {
	if s.Kind == Debian {
		return fmt.Sprintf("Debian package %s %s", s.Package, s.PackageVersion)
	}
	return s.URL
}

// base is the file name of the download.
func (s *Source) base() string { return path.Base(cmp.Or(s.Path, s.URL)) }

// Blobs holds git's blob ids by path.
type Blobs struct {
	// All are the files that are the same in every source.
	All map[string]string `toml:"all"`
	// Debian are the files that Debian has patched, as it has them. Upstream's
	// are not known.
	Debian map[string]string `toml:"debian,omitempty"`
}

// FileError is about a pin file that cannot be read or is wrong.
type FileError struct {
	File         string
	Line, Column int // 1-based; 0 if unknown
	Err          error
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("pin file %s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("pin file %s:%d:%d: %v", e.File, e.Line, e.Column, e.Err)
}

func (e *FileError) Unwrap() error { return e.Err }

// ExitCode makes it wrong use.
func (e *FileError) ExitCode() int { return exit.Usage }

// Load reads a pin file. Its errors are *FileError.
func Load(name string) (*Pin, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, &FileError{File: name, Err: err}
	}
	return Parse(name, data)
}

// Parse reads a pin from the content of a file of that name. Its errors are
// *FileError.
func Parse(name string, data []byte) (*Pin, error) {
	p := &Pin{File: name}
	dec := toml.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(p); err != nil {
		fe := &FileError{File: name, Err: err}
		var syntax *toml.DecodeError
		var strict *toml.StrictMissingError
		switch {
		case errors.As(err, &strict) && len(strict.Errors) > 0:
			first := &strict.Errors[0]
			fe.Line, fe.Column = first.Position()
			fe.Err = fmt.Errorf("unknown key %q", strings.Join(first.Key(), "."))
		case errors.As(err, &syntax):
			fe.Line, fe.Column = syntax.Position()
		}
		return nil, fe
	}

	if text, err := p.check(); err != nil {
		line, column := position(data, text)
		return nil, &FileError{File: name, Line: line, Column: column, Err: err}
	}
	return p, nil
}

// position returns where a text stands in the file, or 0, 0: the decoder keeps
// no positions of what was well formed.
func position(data []byte, text string) (line, column int) {
	if text == "" {
		return 0, 0
	}
	for i, l := range strings.Split(string(data), "\n") {
		code, _, _ := strings.Cut(l, "#")
		if at := strings.Index(code, text); at >= 0 {
			return i + 1, at + 1
		}
	}
	return 0, 0
}

var (
	versionRE = regexp.MustCompile(`^[0-9]+\.[0-9]+(\.[0-9]+)?(-rc[0-9]+)?$`)
	packageRE = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]+$`)
	debianRE  = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~:-]*$`)
	suiteRE   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
)

// check returns what is wrong with a pin that was well formed, and the text in
// the file that is about it.
func (p *Pin) check() (text string, err error) {
	switch {
	case !versionRE.MatchString(p.Version):
		return "version", fmt.Errorf("version: %q is not a kernel's version, such as 6.12.1", p.Version)
	case len(p.Sources) == 0:
		return "", errors.New("there is no [[source]]")
	}
	for i := range p.Sources {
		if text, err := p.Sources[i].check(); err != nil {
			return text, fmt.Errorf("source %d: %w", i+1, err)
		}
	}

	if len(p.Blobs.All) == 0 {
		return "", errors.New("there are no [blobs.all]")
	}
	for _, table := range []map[string]string{p.Blobs.All, p.Blobs.Debian} {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if !fs.ValidPath(name) || name == "." {
				return name, fmt.Errorf("blobs: %q is not a path in a tree", name)
			}
			if !isHex(table[name], 40) {
				return name, fmt.Errorf("blobs: %s: %q is not a git blob id (40 hexadecimal digits)", name, table[name])
			}
		}
	}
	for name := range p.Blobs.Debian {
		if _, ok := p.Blobs.All[name]; ok {
			return name, fmt.Errorf("blobs: %s is in [blobs.all] and in [blobs.debian]", name)
		}
	}
	return "", nil
}

func (s *Source) check() (text string, err error) {
	type rule struct {
		key, value string
		good       bool
		want       string
	}
	rules := []rule{{"size", strconv.FormatInt(s.Size, 10), s.Size > 0, "a number of bytes"}}
	switch s.Kind {
	case Debian:
		rules = append(rules,
			rule{"package", s.Package, packageRE.MatchString(s.Package), "a package's name"},
			rule{"package-version", s.PackageVersion, debianRE.MatchString(s.PackageVersion), "a package's version"},
			rule{"suite", s.Suite, suiteRE.MatchString(s.Suite), "the name of a suite"},
			rule{"path", s.Path, fs.ValidPath(s.Path) && path.Ext(s.Path) == ".deb", "the path of a .deb on a mirror"},
			rule{"member", s.Member, fs.ValidPath(s.Member), "a path in a package"},
			rule{"sha256", s.SHA256, isHex(s.SHA256, 64), "64 hexadecimal digits"})
	case Upstream:
		rules = append(rules,
			rule{"url", s.URL, isHTTPS(s.URL), "an https address"},
			rule{"sums", s.Sums, isHTTPS(s.Sums), "an https address"},
			rule{"sha256", s.SHA256, s.SHA256 == "" || isHex(s.SHA256, 64), "64 hexadecimal digits"})
	default:
		return "kind", fmt.Errorf("kind: %q is neither %q nor %q", s.Kind, Debian, Upstream)
	}

	for _, r := range rules {
		if !r.good {
			return cmp.Or(r.value, r.key), fmt.Errorf("%s: %q is not %s", r.key, r.value, r.want)
		}
	}
	return "", nil
}

func isHTTPS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

func isHex(s string, digits int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == digits && strings.ToLower(s) == s
}
