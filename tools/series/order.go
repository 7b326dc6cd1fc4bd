// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

var fileNumber = regexp.MustCompile(`^(\d{4,})-`)

// arrange puts the mails in order and checks that they are a series: one cover
// letter at most, numbers without gaps and duplicates, the same total and
// version everywhere, and file names whose numbers agree.
func (s *Series) arrange(mails []*Patch) error {
	fail := func(p *Patch, format string, args ...any) error {
		return &FormatError{File: p.file, Line: p.Line, Reason: fmt.Sprintf(format, args...), Err: ErrCorrupt}
	}
	numbered := 0
	for _, p := range mails {
		if p.Number > 0 || p.Number < 0 && len(p.Files) > 0 {
			if len(p.Files) == 0 {
				return fail(p, "the mail %q carries no patch; a cover letter has the number 0", p.Subject)
			}
			if p.Number > 0 {
				numbered++
			}
			s.Patches = append(s.Patches, p)
			continue
		}
		if p.Number < 0 {
			if m := fileNumber.FindStringSubmatch(p.Name); m == nil || m[1] != "0000" {
				return fail(p, "the mail %q carries no patch and no number that makes it a cover letter (0/N)", p.Subject)
			}
			p.Number = 0
		}
		if len(p.Files) > 0 {
			return fail(p, "the cover letter carries a patch")
		}
		if s.Cover != nil {
			return fail(p, "a second cover letter; the first is %s", s.Cover.Name)
		}
		s.Cover = p
	}
	if len(s.Patches) == 0 {
		return &FormatError{File: s.Dir, Reason: "there is no patch", Err: ErrCorrupt}
	}
	if err := s.number(numbered, fail); err != nil {
		return err
	}
	return s.checkTotals(fail)
}

// number orders the patches by their numbers, or gives them numbers in the
// order of the files where no subject has one.
func (s *Series) number(numbered int, fail func(*Patch, string, ...any) error) error {
	if numbered == 0 {
		for i, p := range s.Patches {
			p.Number = i + 1
		}
	} else {
		for _, p := range s.Patches {
			if p.Number < 0 {
				return fail(p, "the subject %q has no number, those of other patches have", p.Subject)
			}
		}
		slices.SortStableFunc(s.Patches, func(a, b *Patch) int { return a.Number - b.Number })
	}
	for i, p := range s.Patches {
		if i > 0 && p.Number == s.Patches[i-1].Number {
			return fail(p, "is number %d, and so is %s", p.Number, s.Patches[i-1].Name)
		}
		if p.Number != i+1 {
			return fail(p, "is number %d, but number %d is missing", p.Number, i+1)
		}
		if m := fileNumber.FindStringSubmatch(p.Name); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && n != p.Number && numbered > 0 {
				return fail(p, "the file name says %d, the subject %d", n, p.Number)
			}
		}
	}
	return nil
}

func (s *Series) checkTotals(fail func(*Patch, string, ...any) error) error {
	s.Version = s.mails()[0].Version
	for _, p := range s.mails() {
		if p.Total != 0 && p.Total != len(s.Patches) {
			return fail(p, "says that the series has %d patches; there are %d", p.Total, len(s.Patches))
		}
		if p.Version != s.Version {
			return fail(p, "is of version %d, %s is of version %d", p.Version, s.mails()[0].Name, s.Version)
		}
	}
	return nil
}
