// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"vcpulab/tools/program"
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
		m.Date, _ = mail.ParseDate(fields["date"]) // zero where there is none
		m.Line, m.Subject, m.Mail = raw.line, withoutPrefix(subject), quotedFrom.ReplaceAll(raw.data, []byte("$1"))
		m.refs = messageID.FindAllString(fields["in-reply-to"]+" "+fields["references"], -1)
		m.answer = answered.MatchString(subject) || !patchWord.MatchString(subject)
		mails = append(mails, m)
	}
	followRefs(mails)
	return mails, nil
}

// followRefs adds what the answered mails answer: some programs name the last one only.
func followRefs(mails []*threadMail) {
	byID := make(map[string]*threadMail)
	for _, m := range mails {
		byID[m.id] = m
	}
	for _, m := range mails {
		known := make(map[string]bool)
		for _, ref := range m.refs {
			known[ref] = true
		}
		// Up from one to the next, unless they go in a circle.
		visited := map[*threadMail]bool{nil: true}
		for to := m; !visited[to] && len(to.refs) > 0; to = byID[to.refs[0]] {
			visited[to] = true
			if id := to.refs[0]; id != m.id && !known[id] {
				known[id] = true
				m.refs = append(m.refs, id)
			}
		}
	}
}

// writeThread writes mails to dir as git format-patch would have: git mailinfo decodes them.
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
		number := m.Number
		if number < 0 {
			number = 1
		}
		name := fmt.Sprintf("%04d-%s.patch", number, strings.Trim(notInName.ReplaceAllString(m.Subject, "-"), "-"))
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// notInName is what the names of git's patches have a hyphen for.
var notInName = regexp.MustCompile(`[^A-Za-z0-9._]+`)
