// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/program"
	"vcpulab/tools/progress"
)

// threadMail is a mail of a thread, as far as it tells what the mail is.
type threadMail struct {
	Patch           // Number, Total and Version; Subject without its prefix
	refs   []string // the mails that it answers
	answer bool     // neither a patch nor a cover letter
}

var (
	messageID = regexp.MustCompile(`<[^<>\s]+>`)
	// answered begins the subject of an answer, or of a mail that was passed on.
	answered = regexp.MustCompile(`^(?i:(re|aw|sv|antw|fwd?)(\[\d+\])?:)`)
	// patchWord tells the subject of a patch, or of its cover letter.
	patchWord = regexp.MustCompile(`^\[[^]]*(\b(?i:PATCH|RFC)\b|\d/\d)[^]]*\]`)
	// quotedFrom is a line of text that archives quote, in the format mboxrd.
	quotedFrom = regexp.MustCompile(`(?m)^>(>*From )`)
)

// readThread reads the mails of an archive's mbox, which may be compressed by gzip.
func readThread(data []byte) ([]*threadMail, error) {
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(r, MaxSeries+1))
		}
		if err != nil {
			return nil, fmt.Errorf("unpack it: %w", err)
		}
	}
	if len(data) > MaxSeries {
		return nil, fmt.Errorf("more than %d bytes: %w", MaxSeries, ErrTooLarge)
	}
	raws, err := splitMbox(data)
	if err != nil {
		return nil, err
	}
	var mails []*threadMail
	for _, raw := range raws {
		_, fields, _, err := mailHeader(raw.data)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", raw.line, err)
		}
		subject, err := decodeWords(fields["subject"])
		if err != nil {
			subject = fields["subject"] // of an answer, hopefully
		}
		m := &threadMail{}
		m.setSent(fields)
		m.setNumbers(subject)
		m.Line, m.Subject, m.Mail = raw.line, withoutPrefix(subject), quotedFrom.ReplaceAll(raw.data, []byte("$1"))
		m.refs = messageID.FindAllString(fields["in-reply-to"]+" "+fields["references"], -1)
		m.answer = answered.MatchString(subject) || !patchWord.MatchString(subject)
		mails = append(mails, m)
	}
	return mails, nil
}

// newest chooses the mails of the newest version of the one series of a thread, the cover
// letter first, and says what it has left out. The mails of two series are an error.
func newest(mails []*threadMail) (chosen []*threadMail, said string, err error) {
	versions := make(map[int][]*threadMail)
	answers, twice := 0, 0
	for _, m := range mails {
		if m.answer {
			answers++
			continue
		}
		same := versions[m.Version]
		at := slices.IndexFunc(same, func(o *threadMail) bool { return o.Number == m.Number || o.Total != m.Total })
		switch {
		case at < 0:
			versions[m.Version] = append(same, m)
		case same[at].Number == m.Number && same[at].Total == m.Total && (m.id != "" && m.id == same[at].id || m.Subject == same[at].Subject):
			twice++ // it went to several lists, or was sent again
		default:
			return nil, "", fmt.Errorf("two series: %q at line %d and %q at line %d are not of one; save the mails of one thread", same[at].Subject, same[at].Line, m.Subject, m.Line)
		}
	}
	if len(versions) == 0 {
		return nil, "", fmt.Errorf("no patch among %s: expected subjects with [PATCH]", progress.Count(len(mails), "mail"))
	}

	// Versions of one series have a subject in common, or one answers the other.
	var numbers []int
	for n := range versions {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	last := numbers[len(numbers)-1]
	kin := slices.Clone(versions[last])
	for _, n := range slices.Backward(numbers[:len(numbers)-1]) {
		if !related(kin, versions[n]) {
			return nil, "", fmt.Errorf("two series: %q at line %d is version %d, and no other one of %q at line %d; save the mails of one thread",
				versions[n][0].Subject, versions[n][0].Line, n, versions[last][0].Subject, versions[last][0].Line)
		}
		kin = append(kin, versions[n]...)
	}

	chosen = versions[last]
	slices.SortStableFunc(chosen, func(a, b *threadMail) int { return cmp.Compare(a.Number, b.Number) })
	patches, cover := len(chosen), "no cover letter"
	if chosen[0].Number == 0 {
		patches, cover = patches-1, fmt.Sprintf("cover letter %q", chosen[0].Subject)
	}
	said = fmt.Sprintf("%s: version %d taken, %s, %s; left out: %s", progress.Count(len(mails), "mail"), last, progress.Count(patches, "patch"), cover, progress.Count(answers, "answer"))
	if twice > 0 {
		said += fmt.Sprintf(", %s that came twice", progress.Count(twice, "mail"))
	}
	for _, n := range numbers[:len(numbers)-1] {
		said += fmt.Sprintf(", version %d", n)
	}
	return chosen, said, nil
}

// related tells whether one of some mails has the subject of one of others, or answers it.
func related(mails, others []*threadMail) bool {
	return slices.ContainsFunc(mails, func(m *threadMail) bool {
		return slices.ContainsFunc(others, func(o *threadMail) bool {
			return m.Subject == o.Subject || slices.Contains(m.refs, o.id) || slices.Contains(o.refs, m.id) && m.id != ""
		})
	})
}

// writeThread writes mails as git format-patch would have, to files in dir: git mailinfo
// decodes them.
func writeThread(ctx context.Context, dir string, mails []*threadMail) error {
	for _, m := range mails {
		msg, patch := filepath.Join(dir, "msg"), filepath.Join(dir, "patch")
		git := program.Program{Name: "git", Dir: dir, Stdin: bytes.NewReader(m.Mail)}
		info, _, err := git.Run(ctx, "mailinfo", "--encoding=UTF-8", "--no-scissors", msg, patch)
		if err != nil {
			return fmt.Errorf("the mail %q at line %d: %w", m.Subject, m.Line, err)
		}
		fields, _, err := readHeader(info, func(string, string) bool { return true })
		if err != nil {
			return err
		}

		var b bytes.Buffer
		fmt.Fprintf(&b, "From %040d Mon Sep 17 00:00:00 2001\nFrom: %s\nDate: %s\nSubject: %s %s\n",
			0, Person{fields["author"], fields["email"]}, fields["date"], m.prefix, cmp.Or(fields["subject"], m.Subject))
		for _, f := range [][2]string{{"Cc", m.recipients}, {"Message-ID", m.id}} {
			if f[1] != "" {
				fmt.Fprintf(&b, "%s: %s\n", f[0], f[1])
			}
		}
		b.WriteString("\n")
		for _, name := range []string{msg, patch} {
			data, err := os.ReadFile(name)
			if err := cmp.Or(err, os.Remove(name)); err != nil {
				return err
			}
			b.Write(data)
		}
		name := fmt.Sprintf("%04d-%s.patch", max(m.Number, 0), strings.Trim(notInName.ReplaceAllString(m.Subject, "-"), "-"))
		if m.Number < 0 {
			name = "0001" + name[4:]
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// notInName is what the names of git's patches have a hyphen for.
var notInName = regexp.MustCompile(`[^A-Za-z0-9._]+`)
