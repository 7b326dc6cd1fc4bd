// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"time"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// message is a mail as git mailinfo understands it.
type message struct {
	subject string // with what is in brackets before it
	number  prefix // of the mail's own subject, whatever its body says
	author  Person
	date    time.Time
	text    string // what becomes the commit message, without the subject
	diff    []byte // from the line that ends the message on
	// diffLine is the 1-based line of the mail at which diff starts, 0 if the
	// lines of the mail are not those of its content.
	diffLine int
}

// part is a piece of a mail's body with its transfer encoding undone.
type part struct {
	data    []byte
	charset string
	line    int // 1-based line of the mail; 0 if it was encoded
}

// parseMail understands one mail. The error says what is wrong with it.
func parseMail(data []byte) (*message, error) {
	fields, body, lines, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	parts, err := bodyParts(fields, body, lines+1, 0)
	if err != nil {
		return nil, err
	}
	m := &message{number: parsePrefix(decodeWords(fields["subject"]))}
	inBody := m.readParts(parts)
	for _, name := range []string{"from", "subject", "date"} {
		if v, ok := inBody[name]; ok {
			fields[name] = v
		}
	}
	m.subject = decodeWords(fields["subject"])
	if from := decodeWords(fields["from"]); from != "" {
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

// bodyParts undoes the transfer encoding of a body, and of each part of one
// that has several. line is the body's first line in the mail.
func bodyParts(fields map[string]string, body []byte, line, depth int) ([]part, error) {
	mediaType, params, err := mime.ParseMediaType(fields["content-type"])
	if err != nil {
		params = nil
	}
	if strings.HasPrefix(mediaType, "multipart/") && params["boundary"] != "" {
		return multiParts(body, params["boundary"], depth)
	}
	if strings.EqualFold(params["format"], "flowed") {
		return nil, fmt.Errorf("the mail is format=flowed, which breaks long lines of a patch; have it sent by git send-email")
	}
	p := part{data: body, charset: params["charset"], line: line}
	switch enc := strings.ToLower(fields["content-transfer-encoding"]); {
	case strings.Contains(enc, "base64"):
		p.line = 0
		if p.data, err = decodeBase64(body); err != nil {
			return nil, fmt.Errorf("its base64 is damaged: %w", err)
		}
	case strings.Contains(enc, "quoted-printable"):
		p.line = 0
		p.data = decodeQuoted(body)
	}
	return []part{p}, nil
}

func multiParts(body []byte, boundary string, depth int) ([]part, error) {
	if depth == maxPartDepth {
		return nil, fmt.Errorf("its parts are nested more than %d deep", maxPartDepth)
	}
	var parts []part
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("its parts cannot be told apart: %w", err)
		}
		data, err := io.ReadAll(p)
		if err != nil {
			return nil, fmt.Errorf("its parts cannot be told apart: %w", err)
		}
		// The boundary takes the line end before it, git leaves that.
		data = append(data, '\n')
		fields := make(map[string]string)
		for name, values := range p.Header {
			fields[strings.ToLower(name)] = values[len(values)-1]
		}
		sub, err := bodyParts(fields, data, 0, depth+1)
		if err != nil {
			return nil, err
		}
		for i := range sub {
			sub[i].line = 0
		}
		if parts = append(parts, sub...); len(parts) > maxParts {
			return nil, fmt.Errorf("it has more than %d parts", maxParts)
		}
	}
}

func decodeBase64(data []byte) ([]byte, error) {
	clean := bytes.Join(bytes.Fields(data), nil)
	out := make([]byte, base64.StdEncoding.DecodedLen(len(clean)))
	n, err := base64.StdEncoding.Decode(out, clean)
	return out[:n], err
}

// decodeQuoted undoes quoted-printable. Unlike mime/quotedprintable it keeps
// blanks at line ends: they may be context lines, and git keeps them.
func decodeQuoted(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		rest := data[i+1:]
		switch {
		case data[i] != '=':
			out = append(out, data[i])
		case bytes.HasPrefix(rest, []byte("\n")):
			i++
		case bytes.HasPrefix(rest, []byte("\r\n")):
			i += 2
		case len(rest) >= 2 && hexDigit(rest[0]) >= 0 && hexDigit(rest[1]) >= 0:
			out = append(out, byte(hexDigit(rest[0])<<4|hexDigit(rest[1])))
			i += 2
		default:
			out = append(out, '=')
		}
	}
	return out
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// readParts separates in-body header fields, message and diff. It returns the
// fields.
func (m *message) readParts(parts []part) map[string]string {
	fields := make(map[string]string)
	var text strings.Builder
	inHeader, last := true, ""
	for n, p := range parts {
		rest, number := p.data, p.line
		for len(rest) > 0 {
			line, after := cutLine(rest)
			if inHeader {
				inHeader, last = inBodyHeader(fields, line, last)
				if inHeader {
					rest = after
					number = next(number)
					continue
				}
			}
			if breaksPatch(line) {
				m.text = cleanText(text.String())
				m.diff, m.diffLine = rest, number
				if len(parts) > n+1 {
					m.diff, m.diffLine = bytes.Clone(rest), 0
					for _, later := range parts[n+1:] {
						m.diff = append(m.diff, later.data...)
					}
				}
				return fields
			}
			text.WriteString(toUTF8(string(line), p.charset))
			rest = after
			number = next(number)
		}
	}
	m.text = cleanText(text.String())
	return fields
}

func next(line int) int {
	if line > 0 {
		line++
	}
	return line
}

// inBodyHeader takes a line at the start of a body: blank lines, then fields
// that override those of the mail, which a mail has that was sent for
// somebody else. It reports whether the line belonged there, and the field
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
