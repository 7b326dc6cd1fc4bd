// SPDX-License-Identifier: GPL-2.0-only

// Package pin fetches the kernel that the series is made against and verifies that it is that
// kernel.
//
// A pin is a TOML file: a version, the sources to try in order, and git's blob id of every file
// that the series touches or builds on. Whichever source it comes from, the content of these
// files is verified when it is unpacked and at each later use.
package pin

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/pattern"
	"vcpulab/tools/tomlfile"
)

// Pin is a pinned kernel.
type Pin struct {
	// Version is the kernel's version as its Makefile has it ("7.3.4").
	Version string `toml:"version"`
	// Sources are tried in this order.
	Sources []Source `toml:"source"`
	// Blobs are of the files that the series touches or builds on.
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
	// Debian is a Debian package with the kernel's source, from the machine's own mirror.
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

	// URL is the address of an upstream tarball, Sums that of the list with its SHA-256.
	URL  string `toml:"url,omitempty"`
	Sums string `toml:"sums,omitempty"`

	// Size is the size of the download in bytes. For a tarball, whose size is
	// not published, it is the most that is accepted.
	Size int64 `toml:"size"`
	// SHA256 is the sum of the download, in hexadecimal; "" stands for that in the list at Sums.
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
	// Debian are those that Debian has patched, as it has them.
	Debian map[string]string `toml:"debian,omitempty"`
}

// BlobID returns the blob id that the pin has for a path, Debian's for a file that Debian
// patches, and whether it has one: a patch may only touch pinned files.
func (p *Pin) BlobID(name string) (string, bool) {
	id := cmp.Or(p.Blobs.Debian[name], p.Blobs.All[name])
	return id, id != ""
}

// blobsOf returns the ids to verify in a tree from a source of that kind. In upstream's the
// files that Debian patches are not known.
func (p *Pin) blobsOf(kind Kind) map[string]string {
	if kind != Debian || len(p.Blobs.Debian) == 0 {
		return p.Blobs.All
	}
	all := maps.Clone(p.Blobs.All)
	maps.Copy(all, p.Blobs.Debian)
	return all
}

// defaultFile is the symbolic link to the pin that is used unless another one
// is named. A directory with a single pin needs none.
const defaultFile = "default.toml"

// filePrefix and fileSuffix surround the version in the name of a pin file.
const filePrefix, fileSuffix = "linux-", ".toml"

// Listed is a pin file of a directory.
type Listed struct {
	Name    string `json:"name"` // the version in its file's name, "6.12.1"
	File    string `json:"file"`
	Default bool   `json:"default"`
}

// List returns the pins in dir, sorted by name. They are not read.
func List(dir string) []Listed {
	files, _ := pattern.Files(dir, filePrefix+"*"+fileSuffix)
	chosen, _ := os.Readlink(filepath.Join(dir, defaultFile))

	var list []Listed
	for _, file := range files {
		list = append(list, Listed{
			Name: pinName(file), File: file,
			Default: filepath.Base(file) == chosen || len(files) == 1 && chosen == "",
		})
	}
	return list
}

// pinName returns the name of a pin, "6.12.1" of "linux-6.12.1.toml", too.
func pinName(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), filePrefix), fileSuffix)
}

// Find reads the pin of that name in dir, "" for the default one. Errors stand for exit.Usage.
func Find(dir, name string) (*Pin, error) {
	for _, l := range List(dir) {
		if name == "" && l.Default || name != "" && l.Name == pinName(name) {
			p, err := Load(l.File)
			if err == nil {
				p.Default = l.Default
			}
			return p, err
		}
	}

	there := "it has none"
	if all := names(dir); all != nil {
		there = "there are: " + strings.Join(all, ", ")
	}
	err := fmt.Errorf("unknown pin %q in %s; %s; vcpulab pin new makes one", name, dir, there)
	if name == "" {
		err = fmt.Errorf("%s has no default pin; %s; name one with --pin, or link it to %s", dir, there, defaultFile)
	}
	return nil, exit.With(exit.Usage, err)
}

// Load reads a pin file. Its errors stand for exit.Usage.
func Load(name string) (*Pin, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	return Parse(name, data)
}

// Parse reads a pin from the content of a file. Errors stand for exit.Usage.
func Parse(name string, data []byte) (*Pin, error) {
	p := &Pin{File: name}
	err := tomlfile.Decode(data, p)
	if err == nil {
		err = p.check()
	}
	if err != nil {
		return nil, tomlfile.Invalid(name, err)
	}
	return p, nil
}

var (
	versionRE = regexp.MustCompile(`^[0-9]+\.[0-9]+(\.[0-9]+)?(-rc[0-9]+)?$`)
	packageRE = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]+$`)
	debianRE  = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~:-]*$`)
	suiteRE   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	httpsRE   = regexp.MustCompile(`^https://[^/\s]+(/|$)`)
	sumRE     = regexp.MustCompile(`^[0-9a-f]{64}$`)
	blobRE    = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// check returns what is wrong with a pin that was well formed.
func (p *Pin) check() error {
	switch {
	case !versionRE.MatchString(p.Version):
		return fmt.Errorf("version: %q is not a kernel's version, such as 6.12.1", p.Version)
	case len(p.Sources) == 0:
		return errors.New("there is no [[source]]")
	}
	for i := range p.Sources {
		if err := p.Sources[i].check(); err != nil {
			return fmt.Errorf("source %d: %w", i+1, err)
		}
	}

	if len(p.Blobs.All) == 0 {
		return errors.New("there are no [blobs.all]")
	}
	for name, id := range p.blobsOf(Debian) {
		if !fs.ValidPath(name) || name == "." {
			return fmt.Errorf("blobs: %q is not a path in a tree", name)
		}
		if !blobRE.MatchString(id) {
			return fmt.Errorf("blobs: %s: %q is not a git blob id (40 hexadecimal digits)", name, id)
		}
	}
	if len(p.blobsOf(Debian)) < len(p.Blobs.All)+len(p.Blobs.Debian) {
		return errors.New("blobs: a file is in [blobs.all] and in [blobs.debian]")
	}
	return nil
}

// check returns what is wrong with a source.
func (s *Source) check() error {
	if s.Kind != Debian && s.Kind != Upstream {
		return fmt.Errorf("kind: %q is neither %q nor %q", s.Kind, Debian, Upstream)
	}
	for _, r := range []struct {
		of         Kind // "" for both
		key, value string
		good       bool
		want       string
	}{
		{"", "size", fmt.Sprint(s.Size), s.Size > 0, "a number of bytes"},
		{Debian, "package", s.Package, packageRE.MatchString(s.Package), "a package's name"},
		{Debian, "package-version", s.PackageVersion, debianRE.MatchString(s.PackageVersion), "a package's version"},
		{Debian, "suite", s.Suite, suiteRE.MatchString(s.Suite), "the name of a suite"},
		{Debian, "path", s.Path, fs.ValidPath(s.Path) && path.Ext(s.Path) == ".deb", "the path of a .deb on a mirror"},
		{Debian, "member", s.Member, fs.ValidPath(s.Member), "a path in a package"},
		{Upstream, "url", s.URL, httpsRE.MatchString(s.URL), "an https address"},
		{Upstream, "sums", s.Sums, httpsRE.MatchString(s.Sums), "an https address"},
		{"", "sha256", s.SHA256, sumRE.MatchString(s.SHA256) || s.SHA256 == "" && s.Kind == Upstream, "64 hexadecimal digits"},
	} {
		if !r.good && (r.of == "" || r.of == s.Kind) {
			return fmt.Errorf("%s: %q is not %s", r.key, r.value, r.want)
		}
	}
	return nil
}
