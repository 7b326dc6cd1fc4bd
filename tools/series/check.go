// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

var placeholder = Person{Name: "vcpulab", Email: "series@vcpulab.invalid"}

// Placeholder returns the author of the repository's mails until a submitter sends them.
func Placeholder() Person { return placeholder }

// Objection is something about a mail that a maintainer would send it back for.
type Objection struct {
	Patch   string `json:"patch"` // Patch.Name; "" if it is about the series
	Check   string `json:"check"` // what was checked, a word or two
	Message string `json:"message"`
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

// Check looks at how the mails are written; Apply checks what they do, Checkpatch the code,
// Load the numbers. author has to be that of all of them and sign off last. If it is empty it
// is whoever has written each, who need not be the last, and one patch needs no letter.
func (s *Series) Check(author Person) []Objection {
	var all []Objection
	if s.Cover == nil && (author != Person{}) {
		all = append(all, Objection{Check: "cover letter", Message: "there is none"})
	}
	for _, p := range s.mails() {
		add := func(check, format string, args ...any) {
			all = append(all, Objection{Patch: p.Name, Check: check, Message: fmt.Sprintf(format, args...)})
		}
		if p.Author != author && (author != Person{}) {
			add("author", "From is %q, not %q", p.Author, author)
		}
		if p == s.Cover {
			s.checkCover(add)
		} else {
			p.check(author, add)
		}
	}
	return all
}

// addObjection takes what was checked and what is wrong.
type addObjection func(check, format string, args ...any)

func (s *Series) checkCover(add addObjection) {
	c := s.Cover
	if unfilled.MatchString(c.Subject) || unfilled.MatchString(c.Message) {
		add("cover letter", "git's template has not been filled in")
	}
	// For git am the body of a cover letter ends at "---", for people it does not.
	body := strings.Join(strings.Fields(c.Message+"\n"+c.Below()), " ")
	for _, p := range s.Patches {
		if !strings.Contains(body, p.Subject) {
			add("cover letter", "does not name patch %d, %q", p.Number, p.Subject)
		}
	}
}

func (p *Patch) check(author Person, add addObjection) {
	if !subjectStyle.MatchString(p.Subject) {
		add("subject", "%q is not a scope and a sentence with a capital and no full stop, as in \"KVM: x86: Do this\"", p.Subject)
	}
	if len(p.Subject) > maxSubject {
		add("subject", "has %d bytes, more than %d", len(p.Subject), maxSubject)
	}
	if len(p.Trailers) == 0 && strings.TrimSpace(p.Message) == "" || strings.HasPrefix(p.Message, "Signed-off-by:") {
		add("message", "says nothing of why")
	}

	signed := ""
	for _, t := range p.Trailers {
		switch strings.ToLower(t.Key) {
		case "signed-off-by":
			signed = t.Value
		case "fixes":
			if !fixesStyle.MatchString(t.Value) {
				add("Fixes", "%q is not 12 digits of a commit and (\"its subject\")", t.Value)
			}
		}
	}
	if signed == "" {
		add("Signed-off-by", "there is none; it must be %q", cmp.Or(author, p.Author))
	} else if signed != author.String() && (author != Person{}) {
		add("Signed-off-by", "the last one is %q, not the author's, %q", signed, author)
	}

	for _, d := range p.Files {
		g := d.git
		if g.OldOIDPrefix == "" && (len(g.TextFragments) > 0 || g.IsBinary) {
			add("index line", "%s has none: what it applies to cannot be checked", d.path())
		}
	}
	for line := range strings.Lines(string(p.tail)) {
		line = strings.TrimRight(line, "\r\n")
		if author == (Person{}) && (line == "-- " || line == "--") {
			break // the signature of another person, or of a list
		}
		if !tailLine.MatchString(line) {
			add("tail", "after the patch there is %q", clip([]byte(line)))
			break
		}
	}
}
