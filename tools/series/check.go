// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"fmt"
	"regexp"
	"strings"
)

// Placeholder is the author of the series in the repository. Whoever sends it
// puts their own name there: see [Series.Prepare].
var placeholder = Person{Name: "vcpulab", Email: "series@vcpulab.invalid"}

// Placeholder returns the author that the mails of the repository have until
// a submitter sends them.
func Placeholder() Person { return placeholder }

// Objection is something about a mail that a maintainer would send it back for.
type Objection struct {
	Patch   string `json:"patch"` // Patch.Name; "" if it is about the series
	Check   string `json:"check"` // what was checked, a word or two
	Message string `json:"message"`
}

// String returns the finding in one line.
func (f Objection) String() string {
	if f.Patch == "" {
		return f.Check + ": " + f.Message
	}
	return f.Patch + ": " + f.Check + ": " + f.Message
}

// maxSubject is how long a subject may be with "[PATCH 00/00] " before it, in
// bytes (Documentation/process/submitting-patches.rst: 70-75).
const maxSubject = 75

var (
	// subjectStyle is that of Documentation/process/maintainer-kvm-x86.rst:
	// scopes, then a sentence with a capital.
	subjectStyle = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_./-]*: )+[A-Z][^\n]*[^.\s]$`)
	fixesStyle   = regexp.MustCompile(`^[0-9a-f]{12,40} \(".+"\)$`)
	// tailLine is what may follow a patch.
	tailLine = regexp.MustCompile(`^(-- |\d+\.\d+(\.\S+)*|base-commit: .*|prerequisite-patch-id: .*|)$`)
	unfilled = regexp.MustCompile(`\*\*\* (SUBJECT|BLURB) HERE \*\*\*`)
)

// Check looks at how the mails are written: author everywhere, signed off by
// the author last, subjects in the kernel's style, Fixes tags well formed,
// blob ids in index lines, nothing after the patch, and a cover letter that
// names every patch. What the patches do is checked by Apply, how the code is
// written by Checkpatch. Numbering has been checked by Load.
func (s *Series) Check(author Person) []Objection {
	var all []Objection
	if s.Cover == nil {
		all = append(all, Objection{Check: "cover letter", Message: "there is none"})
	} else {
		all = append(all, s.checkCover(author)...)
	}
	for _, p := range s.Patches {
		all = append(all, p.check(author)...)
	}
	return all
}

// findings collects the objections to one mail.
type findings struct {
	patch string
	list  []Objection
}

func (f *findings) add(check, format string, args ...any) {
	f.list = append(f.list, Objection{Patch: f.patch, Check: check, Message: fmt.Sprintf(format, args...)})
}

func (s *Series) checkCover(author Person) []Objection {
	c := s.Cover
	f := findings{patch: c.Name}
	if c.Author != author {
		f.add("author", "From is %q, not %q", c.Author, author)
	}
	if unfilled.MatchString(c.Subject) || unfilled.MatchString(c.Message) {
		f.add("cover letter", "git's template has not been filled in")
	}
	// The body of a cover letter ends at "---" for git am; for people it does
	// not.
	body := strings.Join(strings.Fields(c.Message+"\n"+c.Below()), " ")
	for _, p := range s.Patches {
		if !strings.Contains(body, p.Subject) {
			f.add("cover letter", "does not name patch %d, %q", p.Number, p.Subject)
		}
	}
	return f.list
}

func (p *Patch) check(author Person) []Objection {
	f := findings{patch: p.Name}
	if p.Author != author {
		f.add("author", "From is %q, not %q", p.Author, author)
	}
	if !subjectStyle.MatchString(p.Subject) {
		f.add("subject", "%q is not a scope and a sentence with a capital and no full stop, as in \"KVM: x86: Do this\"", p.Subject)
	}
	if len(p.Subject) > maxSubject {
		f.add("subject", "has %d bytes, more than %d", len(p.Subject), maxSubject)
	}
	if len(p.Trailers) == 0 && strings.TrimSpace(p.Message) == "" || strings.HasPrefix(p.Message, "Signed-off-by:") {
		f.add("message", "says nothing of why")
	}
	p.checkTrailers(&f, author)
	for _, d := range p.Files {
		g := d.git
		if g.OldOIDPrefix == "" && (len(g.TextFragments) > 0 || g.IsBinary) {
			f.add("index line", "%s has none: what it applies to cannot be checked", d.path())
		}
	}
	for line := range strings.Lines(string(p.tail)) {
		if line = strings.TrimRight(line, "\r\n"); !tailLine.MatchString(line) {
			f.add("tail", "after the patch there is %q", clip([]byte(line)))
			break
		}
	}
	return f.list
}

func (p *Patch) checkTrailers(f *findings, author Person) {
	signed := ""
	for _, t := range p.Trailers {
		switch strings.ToLower(t.Key) {
		case "signed-off-by":
			signed = t.Value
		case "fixes":
			if !fixesStyle.MatchString(t.Value) {
				f.add("Fixes", "%q is not 12 digits of a commit and (\"its subject\")", t.Value)
			}
		}
	}
	switch signed {
	case author.String():
	case "":
		f.add("Signed-off-by", "there is none; it must be %q", author)
	default:
		f.add("Signed-off-by", "the last one is %q, not the author's, %q", signed, author)
	}
}
