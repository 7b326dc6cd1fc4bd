// SPDX-License-Identifier: GPL-2.0-only

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
	"strings"

	"github.com/pelletier/go-toml/v2"
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

	file string // what it was read from, for errors
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

	// Package, PackageVersion and Suite say which Debian package it is; Path
	// is the .deb's path on a mirror and Member the path of the tarball in
	// it.
	Package        string `toml:"package,omitempty"`
	PackageVersion string `toml:"package-version,omitempty"`
	Suite          string `toml:"suite,omitempty"`
	Path           string `toml:"path,omitempty"`
	Member         string `toml:"member,omitempty"`

	// URL is where an upstream tarball is, and Sums where the list of
	// SHA-256 sums is that has it.
	URL  string `toml:"url,omitempty"`
	Sums string `toml:"sums,omitempty"`

	// Size is the size of what is downloaded in bytes. For a tarball, whose
	// size nobody publishes, it is the most that is accepted.
	Size int64 `toml:"size"`
	// SHA256 is the sum of what is downloaded, in hexadecimal. Without it the
	// sum that Sums has is used.
	SHA256 string `toml:"sha256,omitempty"`
}

// String names the source for people.
func (s *Source) String() string {
	if s.Kind == Debian {
		return fmt.Sprintf("Debian package %s %s", s.Package, s.PackageVersion)
	}
	return s.URL
}

// base is the file name of what is downloaded.
func (s *Source) base() string {
	if s.Kind == Debian {
		return path.Base(s.Path)
	}
	return path.Base(s.URL)
}

// Blobs holds git's blob ids by path.
type Blobs struct {
	// All are the files that are the same in every source.
	All map[string]string `toml:"all"`
	// Debian are the files as Debian has patched them; what they are upstream
	// is not known here.
	Debian map[string]string `toml:"debian,omitempty"`
}

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
	p := &Pin{file: name}
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
			fe.Err = fmt.Errorf("nothing is called %q here", strings.Join(first.Key(), "."))
		case errors.As(err, &syntax):
			fe.Line, fe.Column = syntax.Position()
		}
		return nil, fe
	}
	if key, err := p.check(); err != nil {
		line, column := find(data, key)
		return nil, &FileError{File: name, Line: line, Column: column, Err: err}
	}
	return p, nil
}

// find returns where in the file the text of a key or value is, or 0, 0: the
// decoder keeps no positions of what was well formed.
func find(data []byte, text string) (line, column int) {
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

// check says what is wrong with a pin that was well formed, and with which
// text of the file.
func (p *Pin) check() (text string, err error) {
	if !versionRE.MatchString(p.Version) {
		return "version", fmt.Errorf("version: %q is not a kernel's version, such as 7.3.4", p.Version)
	}
	if len(p.Sources) == 0 {
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
	if s.SHA256 != "" && !isHex(s.SHA256, 64) {
		return s.SHA256, fmt.Errorf("sha256: %q is not 64 hexadecimal digits", s.SHA256)
	}
	if s.Size <= 0 {
		return "size", fmt.Errorf("size: %d is not a number of bytes", s.Size)
	}
	switch s.Kind {
	case Debian:
		switch {
		case !packageRE.MatchString(s.Package):
			return cmp.Or(s.Package, "package"), fmt.Errorf("package: %q is not a package's name", s.Package)
		case !debianRE.MatchString(s.PackageVersion):
			return "package-version", fmt.Errorf("package-version: %q is not a package's version", s.PackageVersion)
		case !suiteRE.MatchString(s.Suite):
			return "suite", fmt.Errorf("suite: %q is not the name of a suite", s.Suite)
		case !fs.ValidPath(s.Path) || path.Ext(s.Path) != ".deb":
			return "path", fmt.Errorf("path: %q is not the path of a .deb on a mirror", s.Path)
		case !fs.ValidPath(s.Member):
			return "member", fmt.Errorf("member: %q is not a path in a package", s.Member)
		case s.SHA256 == "":
			return "", errors.New("a Debian package needs its sha256")
		}
	case Upstream:
		for _, raw := range []string{s.URL, s.Sums} {
			if u, err := url.Parse(raw); err != nil || u.Scheme != "https" || u.Host == "" {
				return cmp.Or(raw, string(Upstream)), fmt.Errorf("%q is not an https address: url and sums have to be", raw)
			}
		}
	default:
		return "kind", fmt.Errorf("kind: %q is neither %q nor %q", s.Kind, Debian, Upstream)
	}
	return "", nil
}

func isHex(s string, digits int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == digits && strings.ToLower(s) == s
}
