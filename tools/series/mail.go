// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// message is a mail as git mailinfo reads it.
type message struct {
	subject string // with what is in brackets before it
	number  prefix // of the mail's own subject, whatever its body says
	author  Person
	date    time.Time
	text    string // what becomes the commit message, without the subject
	diff    []byte // from the line that ends the message on
	// diffLine is the 1-based line of the mail at which diff starts.
	diffLine int
}

// parseMail reads one mail. The error says what is wrong with it.
func parseMail(data []byte) (*message, error) {
	fields, body, lines, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	if err := checkEncoding(fields); err != nil {
		return nil, err
	}
	subject, err := decodeWords(fields["subject"])
	if err != nil {
		return nil, err
	}
	m := &message{number: parsePrefix(subject)}
	inBody, err := m.readBody(body, lines+1)
	if err != nil {
		return nil, err
	}

	for _, name := range []string{"from", "subject", "date"} {
		if v, ok := inBody[name]; ok {
			fields[name] = v
		}
	}
	if m.subject, err = decodeWords(fields["subject"]); err != nil {
		return nil, err
	}
	from, err := decodeWords(fields["from"])
	if err != nil {
		return nil, err
	}

	if from != "" {
		// Git's own rules for names and comments, which are laxer than the
		// standard's.
		id, err := gitdiff.ParsePatchIdentity(from)
		if err != nil {
			return nil, fmt.Errorf("no author can be read from %q", "From: "+from)
		}
		m.author = Person{Name: id.Name, Email: id.Email}
	}
	if date := fields["date"]; date != "" {
		if m.date, err = parseDate(date); err != nil {
			return nil, fmt.Errorf("no date can be read from %q", "Date: "+date)
		}
	}
	return m, nil
}

func parseDate(s string) (time.Time, error) {
	if t, err := mail.ParseDate(s); err == nil {
		return t, nil
	}
	return gitdiff.ParsePatchDate(s)
}

// checkEncoding refuses a body that is not the plain text that git format-patch
// writes.
func checkEncoding(fields map[string]string) error {
	const advice = "save the patch with git format-patch"

	mediaType, params, err := mime.ParseMediaType(fields["content-type"])
	if err != nil {
		params = nil
	}
	switch {
	case strings.HasPrefix(mediaType, "multipart/"):
		return fmt.Errorf("the mail has several parts (%s): %s", mediaType, advice)
	case strings.EqualFold(params["format"], "flowed"):
		return errors.New("the mail is format=flowed, which breaks long lines of a patch; have it sent by git send-email")
	}

	switch enc := strings.ToLower(fields["content-transfer-encoding"]); enc {
	case "", "7bit", "8bit", "binary":
	default:
		return fmt.Errorf("the patch is encoded as %s: %s", enc, advice)
	}
	switch charset := strings.ToLower(params["charset"]); charset {
	case "", "utf-8", "us-ascii":
	default:
		return fmt.Errorf("the message is in %s, not in UTF-8: %s", charset, advice)
	}
	return nil
}

// readBody separates in-body header fields, message and diff. It returns the
// fields. line is the body's first line in the mail.
func (m *message) readBody(body []byte, line int) (map[string]string, error) {
	fields := make(map[string]string)
	var text strings.Builder
	inHeader, last := true, ""
	for rest := body; len(rest) > 0; line++ {
		l, after := cutLine(rest)
		if inHeader {
			inHeader, last = inBodyHeader(fields, l, last)
		}
		if !inHeader {
			if breaksPatch(l) {
				m.diff, m.diffLine = rest, line
				break
			}
			text.Write(l)
		}
		rest = after
	}

	if !utf8.ValidString(text.String()) {
		return nil, errors.New("the message is not in UTF-8: save the patch with git format-patch")
	}
	m.text = cleanText(text.String())
	return fields, nil
}

// inBodyHeader takes a line at the start of a body: blank lines, then fields
// that override those of the mail, which a mail has that was sent for
// another person. It reports whether the line belonged there, and the field
// that a following line may continue.
func inBodyHeader(fields map[string]string, line []byte, last string) (bool, string) {
	if len(bytes.TrimRight(line, "\r\n")) == 0 {
		return last == "", "" // a blank line after the fields ends them
	}
	if len(line) > maxInBody || len(fields[last]) > maxInBody {
		return false, ""
	}
	if last != "" && (line[0] == ' ' || line[0] == '\t') {
		fields[last] += " " + strings.TrimSpace(string(line))
		return true, last
	}
	name, value, ok := headerField(line)
	if ok && !isSpace(line[len(name)+1]) {
		ok = false
	}
	if _, seen := fields[name]; !ok || seen || (name != "from" && name != "subject" && name != "date") {
		return false, ""
	}
	fields[name] = value
	return true, name
}

// breaksPatch reports whether a line ends the message: git's rule
// (patchbreak() in mailinfo.c).
func breaksPatch(line []byte) bool {
	if bytes.HasPrefix(line, []byte("diff -")) || bytes.HasPrefix(line, []byte("Index: ")) {
		return true
	}
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	if !ok || len(rest) == 0 {
		return false
	}
	if rest[0] == ' ' && len(rest) > 1 && !isSpace(rest[1]) {
		return true
	}
	return len(bytes.TrimSpace(rest)) == 0 && bytes.IndexByte(rest, '\n') >= 0
}

// cleanText does what git stripspace does: no blanks at line ends, no blank
// lines at the start and end, and one where there are several.
func cleanText(s string) string {
	var b strings.Builder
	blank := 0
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, " \t\r\n\v\f")
		if line == "" {
			blank++
			continue
		}
		if blank > 0 && b.Len() > 0 {
			b.WriteByte('\n')
		}
		blank = 0
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}

var trailerLine = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*):[ \t]+(\S.*)$`)

// parseTrailers returns the trailers of a message: the lines of its last
// paragraph, if every line of it is one, the continuation of one, or a note in
// brackets as the kernel's maintainers add them.
func parseTrailers(message string) []Trailer {
	paragraph := strings.TrimRight(message, "\n")
	if i := strings.LastIndex(paragraph, "\n\n"); i >= 0 {
		paragraph = paragraph[i+2:]
	}
	var trailers []Trailer
	for line := range strings.SplitSeq(paragraph, "\n") {
		m := trailerLine.FindStringSubmatch(line)
		switch {
		case m != nil:
			trailers = append(trailers, Trailer{Key: m[1], Value: strings.TrimSpace(m[2])})
		case len(trailers) > 0 && strings.HasPrefix(line, " "):
			last := &trailers[len(trailers)-1]
			last.Value += " " + strings.TrimSpace(line)
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
		default:
			return nil
		}
	}
	return trailers
}
