// SPDX-License-Identifier: GPL-2.0-only

// Package series reads a patch series as it is mailed and applies it to a kernel tree.
//
// [Load] takes a directory of mails (git format-patch's output, mboxes, or both) and checks
// their numbering. [Series.Apply] makes the patched tree, first in memory. The tree is what
// git am makes of the same mails; what git am refuses is refused, and more where a patch does
// not say exactly what it means: index lines that do not name the content before and after,
// hunks away from their stated line, hunks without context. For a tree that is not the one
// that the series was made for there is [Options.Relocate].
//
// The rest of the package is about sending: [Series.Check], [Checkpatch], [Maintainers] and
// [Series.Prepare].
package series

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"vcpulab/tools/cache"
)

// Series is a series of patches in the order in which they apply.
type Series struct {
	// ID is the SHA-256, in hexadecimal, over all mails, cover letter included.
	ID string `json:"id"`
	// Dir is the directory or file that it was loaded from.
	Dir string `json:"dir"`
	// Version is the n of "[PATCH vn]", 1 where nothing is said.
	Version int `json:"version"`
	// Cover is the cover letter; nil if there is none.
	Cover *Patch `json:"cover,omitempty"`
	// Patches holds patch N at index N-1.
	Patches []*Patch `json:"patches"`

	// stacked: not all patches were made on those before; their hunks are found by context.
	stacked bool
}

// Person is an author.
type Person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// String returns the person as mails have it, "Name <email>".
func (p Person) String() string { return p.Name + " <" + p.Email + ">" }

// Patch is one mail of a series.
type Patch struct {
	// Number is the place in the series, from 1; 0 is the cover letter.
	Number int `json:"number"`
	// Total is what the subject says the series has; 0 if it says nothing.
	Total int `json:"total,omitempty"`
	// Version is the n of "[PATCH vn]".
	Version int `json:"version"`
	// Name is that of the file, and in one of several mails the number there ("series.mbox#2").
	Name string `json:"name"`
	// Line is the 1-based line of the file at which the mail starts.
	Line int `json:"line"`
	// Subject is without its prefix.
	Subject string `json:"subject"`
	// Author is whom git am records: the From of the body before the mail's.
	Author Person    `json:"author"`
	Date   time.Time `json:"date,omitzero"`
	// Message is the commit message below the subject, trailers included.
	Message string `json:"message,omitempty"`
	// Trailers are the lines "Key: value" at the message's end.
	Trailers []Trailer `json:"trailers,omitempty"`
	// Files are the changes, in the order of the mail.
	Files []*FileDiff `json:"-"`
	// Mail is the mail as it stands in the file.
	Mail []byte `json:"-"`

	prefix     string // what stands before Subject, such as [PATCH v2 0/3]
	id         string // Message-ID, "" of a patch that was not sent
	recipients string // To and Cc
	file       string // the path that it was read from
	diff       []byte // from the end of the message on
	tail       []byte // what follows the last change
}

// Below returns what stands below the message: notes, diffstat and diff.
func (p *Patch) Below() string { return strings.ToValidUTF8(string(p.diff), "\uFFFD") }

// Trailer is a line at the end of a commit message, such as Signed-off-by.
type Trailer struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Load reads the series in dir: all files in it that end in .patch, .mbox or .eml, in the
// order of their names. dir may also be one file. Errors are *[FormatError].
func Load(dir string) (*Series, error) {
	mails, err := readMails(dir)
	if err != nil {
		return nil, err
	}
	s := &Series{Dir: dir}
	if err := s.arrange(mails); err != nil {
		return nil, err
	}
	s.identify()
	return s, nil
}

// readMails reads all mails of a directory, or of one file.
func readMails(dir string) (mails []*Patch, err error) {
	names, err := mailFiles(dir)
	if err != nil {
		return nil, err
	}
	size := 0
	for _, name := range names {
		data, err := readLimited(name, MaxMailFile)
		if err != nil {
			return nil, &FormatError{File: name, Reason: "cannot be read", Err: err}
		}
		more, err := parsePatches(name, data)
		if err != nil {
			return nil, err
		}
		mails, size = append(mails, more...), size+len(data)
		if size > MaxSeries || len(mails) > MaxMails {
			reason := fmt.Sprintf("more than %d mails, or %d bytes together", MaxMails, MaxSeries)
			return nil, &FormatError{File: dir, Reason: reason, Err: ErrTooLarge}
		}
	}
	return mails, nil
}

// identify sets the series' ID.
func (s *Series) identify() {
	var parts []string
	for _, p := range s.mails() {
		parts = append(parts, string(p.Mail))
	}
	s.ID = cache.Key(parts...)
}

// mails returns the cover letter, if any, and the patches.
func (s *Series) mails() []*Patch {
	if s.Cover == nil {
		return s.Patches
	}
	return append([]*Patch{s.Cover}, s.Patches...)
}

// Paths returns the paths that the series touches, before or after, sorted.
func (s *Series) Paths() []string {
	paths := make(map[string]bool)
	for _, p := range s.Patches {
		for _, f := range p.Files {
			paths[f.OldPath()], paths[f.NewPath()] = true, true
		}
	}
	delete(paths, "")
	return slices.Sorted(maps.Keys(paths))
}

// readLimited reads a regular file of at most limit bytes.
func readLimited(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		// Opening a FIFO would wait for a writer.
		return nil, errors.New("not a regular file")
	case info.Size() > limit:
		return nil, fmt.Errorf("more than %d bytes: %w", limit, ErrTooLarge)
	}
	return os.ReadFile(name)
}

// parsePatches reads the mails of one file's content.
func parsePatches(name string, data []byte) ([]*Patch, error) {
	raws, err := splitMbox(data)
	if err != nil {
		return nil, &FormatError{File: name, Line: 1, Reason: "is no mail: " + err.Error(), Err: ErrCorrupt}
	}
	if len(raws) == 0 {
		return nil, &FormatError{File: name, Reason: "is empty", Err: ErrCorrupt}
	}
	var patches []*Patch
	for i, raw := range raws {
		p, err := parseMail(raw.data)
		if err != nil {
			return nil, &FormatError{File: name, Line: raw.line, Reason: err.Error(), Err: ErrCorrupt}
		}
		above := raw.data[:len(raw.data)-len(p.diff)]
		p.Files, p.tail, err = parseDiff(p.diff, raw.line+bytes.Count(above, []byte("\n")))
		if e, ok := errors.AsType[*FormatError](err); ok {
			e.File = name
		}
		if err != nil {
			return nil, err
		}
		p.file, p.Name, p.Line = name, filepath.Base(name), raw.line
		if len(raws) > 1 {
			p.Name = fmt.Sprintf("%s#%d", p.Name, i+1)
		}
		patches = append(patches, p)
	}
	return patches, nil
}

var fileNumber = regexp.MustCompile(`^(\d{4,})-`)

// arrange puts the mails in order and checks that they are a series: one cover letter at most,
// numbers without gaps, that files' names agree with, and the same total and version.
func (s *Series) arrange(mails []*Patch) error {
	fail := func(p *Patch, format string, args ...any) error {
		return &FormatError{File: p.file, Line: p.Line, Reason: fmt.Sprintf(format, args...), Err: ErrCorrupt}
	}
	for _, p := range mails {
		if m := fileNumber.FindStringSubmatch(p.Name); p.Number < 0 && len(p.Files) == 0 && m != nil && m[1] == "0000" {
			p.Number = 0
		}
		switch {
		case p.Number > 0 && len(p.Files) == 0:
			return fail(p, "the mail %q carries no patch; a cover letter has the number 0", p.Subject)
		case p.Number < 0 && len(p.Files) == 0:
			return fail(p, "the mail %q carries no patch and no number that makes it a cover letter (0/N)", p.Subject)
		case p.Number != 0:
			s.Patches = append(s.Patches, p)
		case len(p.Files) > 0:
			return fail(p, "the cover letter carries a patch")
		case s.Cover != nil:
			return fail(p, "a second cover letter; the first is %s", s.Cover.Name)
		default:
			s.Cover = p
		}
	}
	if len(s.Patches) == 0 {
		return &FormatError{File: s.Dir, Reason: "there is no patch", Err: ErrCorrupt}
	}

	// Where no subject has a number, the order is that of the files.
	numbered := slices.ContainsFunc(s.Patches, func(p *Patch) bool { return p.Number > 0 })
	for i, p := range s.Patches {
		if !numbered {
			p.Number = i + 1
		} else if p.Number < 0 {
			return fail(p, "the subject %q has no number, those of other patches have", p.Subject)
		}
	}
	slices.SortStableFunc(s.Patches, func(a, b *Patch) int { return a.Number - b.Number })
	for i, p := range s.Patches {
		m := fileNumber.FindStringSubmatch(p.Name)
		switch {
		case i > 0 && p.Number == s.Patches[i-1].Number:
			return fail(p, "is number %d, and so is %s", p.Number, s.Patches[i-1].Name)
		case p.Number != i+1:
			return fail(p, "is number %d, but number %d is missing", p.Number, i+1)
		case numbered && m != nil && strings.TrimLeft(m[1], "0") != strconv.Itoa(p.Number):
			return fail(p, "the file name says %s, the subject %d", strings.TrimLeft(m[1], "0"), p.Number)
		}
	}

	first := s.mails()[0]
	s.Version = first.Version
	for _, p := range s.mails() {
		if p.Total != 0 && p.Total != len(s.Patches) {
			return fail(p, "says that the series has %d patches; there are %d", p.Total, len(s.Patches))
		}
		if p.Version != s.Version {
			return fail(p, "is of version %d, %s is of version %d", p.Version, first.Name, s.Version)
		}
	}
	return nil
}

// Limits on what is read: far above any series that people send, and low enough that no input
// makes the program run out of memory.
const (
	// MaxMailFile is the size of a file of patches, in bytes; memory takes up to 50 times that.
	MaxMailFile = 8 << 20
	// MaxSeries is what all patches of a series may have together, in bytes.
	MaxSeries = 32 << 20
	// MaxMails is the number of mails in a series.
	MaxMails = 2000
	// MaxTreeFile is the size of a file that a patch touches, before and after, in bytes.
	MaxTreeFile = 64 << 20
	// MaxTouched is what all touched files may have together, in bytes.
	MaxTouched = 512 << 20

	maxHeaderLines = 2000
	maxHeaderBytes = 1 << 20
	maxPresent     = 200 // patches that are looked for in a tree
)
