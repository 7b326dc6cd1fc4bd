// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vcpulab/tools/progress"
)

// posting is what was sent of a series at a time: one version of it, some of its patches
// again, or patches that a reader sent in answer to it.
type posting struct {
	version, total int // total is 0 for a patch without a number
	mails          []*threadMail
}

func (g *posting) find(number int) *threadMail {
	i := slices.IndexFunc(g.mails, func(m *threadMail) bool { return m.Number == number })
	if i < 0 {
		return nil
	}
	return g.mails[i]
}

// like returns the patch that has the subject of m.
func (g *posting) like(m *threadMail) *threadMail {
	i := slices.IndexFunc(g.mails, func(o *threadMail) bool { return o.Number != 0 && o.Subject == m.Subject })
	if i < 0 {
		return nil
	}
	return g.mails[i]
}

// answers tells whether a mail of g was sent in answer to one of o.
func (g *posting) answers(o *posting) bool {
	return slices.ContainsFunc(g.mails, func(m *threadMail) bool {
		return slices.ContainsFunc(o.mails, func(to *threadMail) bool { return to.id != "" && slices.Contains(m.refs, to.id) })
	})
}

// missing returns the numbers of the patches that are not there.
func (g *posting) missing() (numbers []string) {
	for n := 1; n <= min(g.total, MaxMails); n++ {
		if g.find(n) == nil {
			numbers = append(numbers, strconv.Itoa(n))
		}
	}
	return numbers
}

// rfcWord tells a version for comments: what follows it may have the number 1 again.
var rfcWord = regexp.MustCompile(`\b(?i:RFC)\b`)

func (g *posting) rfc() bool { return rfcWord.MatchString(g.mails[0].prefix) }

// compare tells which of two postings is the older one.
func (g *posting) compare(o *posting) int {
	byDate := g.mails[0].Date.Compare(o.mails[0].Date)
	if g.rfc() != o.rfc() && byDate != 0 {
		return byDate
	}
	return cmp.Or(cmp.Compare(g.version, o.version), byDate)
}

// replaces returns the patch of o in whose place m was sent, in answer to it, or nil.
func (m *threadMail) replaces(o *posting) *threadMail {
	old := o.find(m.Number)
	if m.Total == 0 {
		old = o.like(m)
	}
	if old == nil || old.id == "" || !slices.Contains(m.refs, old.id) {
		return nil
	}
	return old
}

// again tells whether g is some patches of o in a newer version, each sent in answer to
// the one that it replaces. A version of which mails are missing answers cover letters.
func (g *posting) again(o *posting) bool {
	if g.version <= o.version || o.total < 2 || g.total != 0 && (g.total != o.total || len(g.missing()) == 0) {
		return false
	}
	return !slices.ContainsFunc(g.mails, func(m *threadMail) bool { return m.Number != 0 && m.replaces(o) == nil })
}

// beside tells whether g is what a reader sent in answer to o and no version of it: a patch
// on top, or another way to do it. What follows a version for comments shares a subject.
func (g *posting) beside(o *posting) bool {
	if !g.answers(o) || o.answers(g) {
		return false
	}
	alone := g.total == 0 && o.total > 1 && o.like(g.mails[0]) == nil
	return alone || g.version <= o.version && (g.rfc() == o.rfc() || !g.shares(o))
}

// postings sorts the patches and cover letters of a thread by what they were sent with.
// twice is how many came more than once, and answers how many mails are neither.
func postings(mails []*threadMail) (all []*posting, answers, twice int) {
mails:
	for _, m := range mails {
		if m.answer {
			answers++
			continue
		}
		var of *posting
		for _, g := range all {
			if g.version != m.Version || g.total != m.Total || g.rfc() != rfcWord.MatchString(m.prefix) {
				continue
			}
			same := g.find(m.Number)
			if same != nil && (m.id != "" && m.id == same.id || m.Subject == same.Subject) {
				twice++ // it went to several lists, or was sent again
				continue mails
			}
			if same == nil && (of == nil || (&posting{mails: []*threadMail{m}}).answers(g)) {
				of = g
			}
		}
		if of == nil {
			of = &posting{version: m.Version, total: m.Total}
			all = append(all, of)
		}
		of.mails = append(of.mails, m)
	}
	return all, answers, twice
}

// newest chooses the mails of the newest version of the one series of a thread, the cover
// letter first and patches that were sent again in their places, and says what is left out.
func newest(mails []*threadMail) (chosen []*threadMail, said string, err error) {
	all, answers, twice := postings(mails)
	if len(all) == 0 {
		return nil, "", fmt.Errorf("no patch among %s: expected subjects with [PATCH]", progress.Count(len(mails), "mail"))
	}

	// What was sent in answer to a version is none, nor are patches sent again.
	var versions, again []*posting
	beside := 0
	for _, g := range all {
		switch {
		case slices.ContainsFunc(all, g.again):
			again = append(again, g)
		case slices.ContainsFunc(all, g.beside):
			beside += len(g.mails)
		default:
			versions = append(versions, g)
		}
	}
	slices.SortStableFunc(versions, (*posting).compare)
	slices.SortStableFunc(again, (*posting).compare)
	if err := oneSeries(versions); err != nil {
		return nil, "", err
	}
	last := versions[len(versions)-1]
	left := []string{progress.Count(answers, "answer")}
	if twice > 0 {
		left = append(left, progress.Count(twice, "mail")+" that came twice")
	}
	if beside > 0 {
		left = append(left, progress.Count(beside, "patch")+" sent in answer")
	}
	for _, g := range versions[:len(versions)-1] {
		left = append(left, g.name())
	}

	taken := last.name()
	for _, g := range again {
		if g.again(last) {
			taken += ", " + last.replace(g)
		} else {
			left = append(left, g.name()+" of some patches")
		}
	}
	if err := last.whole(); err != nil {
		return nil, "", err
	}
	chosen = last.mails
	slices.SortStableFunc(chosen, func(a, b *threadMail) int { return cmp.Compare(a.Number, b.Number) })
	patches, cover := len(chosen), "no cover letter"
	if chosen[0].Number == 0 {
		patches, cover = patches-1, fmt.Sprintf("cover letter %q", chosen[0].Subject)
	}
	said = fmt.Sprintf("%s: %s taken, %s, %s; left out: %s", progress.Count(len(mails), "mail"), taken, progress.Count(patches, "patch"), cover, strings.Join(left, ", "))
	return chosen, said, nil
}

// name says which version it is.
func (g *posting) name() string {
	if g.rfc() {
		return fmt.Sprintf("version %d (RFC)", g.version)
	}
	return fmt.Sprintf("version %d", g.version)
}

// replace puts patches that were sent again in the places of those of g, and says which.
func (g *posting) replace(again *posting) string {
	var which []string
	for _, m := range again.mails {
		if old := m.replaces(g); old != nil && m.Number != 0 {
			place := *m
			place.Number, place.Total, place.Version, place.prefix = old.Number, old.Total, old.Version, old.prefix
			g.mails[slices.Index(g.mails, old)] = &place
			which = append(which, strconv.Itoa(place.Number))
		}
	}
	return fmt.Sprintf("patch %s by %s", strings.Join(which, ", "), again.name())
}

// whole returns an error if some patches of a version are not among the mails.
func (g *posting) whole() error {
	missing := g.missing()
	switch {
	case len(missing) == 0 || g.total > MaxMails:
		return nil
	case len(missing) == g.total:
		return fmt.Errorf("of %q there is the cover letter alone; save the mails of the whole thread", g.mails[0].Subject)
	}
	return fmt.Errorf("of the %d patches of version %d these are missing: %s; save the mails of the whole thread, or name a directory with the patches to take",
		g.total, g.version, strings.Join(missing, ", "))
}

// oneSeries returns an error if these are not versions of one series: no two have the
// same number, and any two have a subject in common, or one answers the other.
func oneSeries(versions []*posting) error {
	if len(versions) == 0 {
		return errors.New("each patch was sent in answer to another one; save the mails of the whole thread")
	}
	var kin posting
	for i, g := range slices.Backward(versions) {
		first := g.mails[0]
		for _, o := range versions[i+1:] {
			if o.version == g.version && o.rfc() == g.rfc() {
				return fmt.Errorf("two series: %q at line %d and %q at line %d are not of one; save the mails of one thread",
					first.Subject, first.Line, o.mails[0].Subject, o.mails[0].Line)
			}
		}
		if len(kin.mails) > 0 && !g.answers(&kin) && !kin.answers(g) && !g.shares(&kin) {
			last := versions[len(versions)-1]
			return fmt.Errorf("two series: %q at line %d is version %d, and no other one of %q at line %d; save the mails of one thread",
				first.Subject, first.Line, g.version, last.mails[0].Subject, last.mails[0].Line)
		}
		kin.mails = append(kin.mails, g.mails...)
	}
	return nil
}

// shares tells whether two postings have a subject in common.
func (g *posting) shares(o *posting) bool {
	return slices.ContainsFunc(g.mails, func(m *threadMail) bool {
		return slices.ContainsFunc(o.mails, func(n *threadMail) bool { return m.Subject == n.Subject })
	})
}
