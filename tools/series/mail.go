// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// rawMail is one mail as it stands in a file.
type rawMail struct {
	line int // 1-based line of its first byte in the file
	data []byte
}

// space is what git takes for white space.
const space = " \t\n\r\v\f"

// splitMbox cuts a file into mails by the rules of git mailsplit: an mbox
// starts with a "From " line that ends in a date, and so does each of its
// mails; a file that starts otherwise is one mail. Line ends of CR LF
// become LF, as git am has it by default.
func splitMbox(data []byte) ([]rawMail, error) {
	all := bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.TrimLeft(all, space)
	if len(data) == 0 {
		return nil, nil
	}
	line := 1 + bytes.Count(all[:len(all)-len(data)], []byte("\n"))
	first, _ := cutLine(data)
	if !isFromLine(first) {
		if !fieldLine.Match(first) {
			return nil, fmt.Errorf("a mail starts with %q or a header field, this with %q", "From ", clip(first))
		}
		return []rawMail{{line, data}}, nil
	}

	var mails []rawMail
	start := 0
	for at := len(first); at < len(data); {
		l, _ := cutLine(data[at:])
		if isFromLine(l) {
			if len(mails) == MaxMails-1 {
				return nil, fmt.Errorf("more than %d mails: %w", MaxMails, ErrTooLarge)
			}
			mails = append(mails, rawMail{line, data[start:at]})
			line += bytes.Count(data[start:at], []byte("\n"))
			start = at
		}
		at += len(l)
	}
	return append(mails, rawMail{line, data[start:]}), nil
}

// cutLine returns the first line with its line end, and what follows.
func cutLine(data []byte) (line, rest []byte) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return data[:i+1], data[i+1:]
	}
	return data, nil
}

// fromLine tells the separator of an mbox from a line of text that starts with
// "From ": it has a time and a year after 1990. The rule is git's
// (builtin/mailsplit.c), so that both cut at the same places.
var fromLine = regexp.MustCompile(`^From .*\d.\d\d:\d\d[ \t]*0*(?:9[1-9]|[1-9]\d\d)[^:]*:?\n?$`)

func isFromLine(line []byte) bool {
	return len(line) >= 20 && bytes.HasPrefix(line, []byte("From ")) && fromLine.Match(line)
}

// clip returns a line's beginning for an error message.
func clip(line []byte) string {
	line = bytes.TrimRight(line, "\r\n")
	const most = 120
	if len(line) > most {
		return string(line[:most]) + "..."
	}
	return string(line)
}

// fieldLine is a field of a header: its name and its value.
var fieldLine = regexp.MustCompile(`^([!-9;-~]+):((?s).*)$`)

// readHeader reads header fields up to a blank line, or to a line that is none
// or that take refuses. It returns them unfolded by their names in lower case
// (of fields that occur more than once the last, as git mailinfo takes it),
// and what follows them.
func readHeader(data []byte, take func(name, value string) bool) (fields map[string]string, rest []byte, err error) {
	fields = make(map[string]string)
	last := ""
	rest = data
	for lines := 1; len(rest) > 0; lines++ {
		line, after := cutLine(rest)
		if lines > maxHeaderLines || len(data)-len(after) > maxHeaderBytes {
			return nil, nil, fmt.Errorf("a header of more than %d lines or %d bytes", maxHeaderLines, maxHeaderBytes)
		}
		m := fieldLine.FindSubmatch(line)
		switch {
		case len(bytes.TrimRight(line, "\r\n")) == 0:
			return fields, after, nil
		case last != "" && (line[0] == ' ' || line[0] == '\t'):
			fields[last] += " " + strings.TrimSpace(string(line))
		case m != nil && take(strings.ToLower(string(m[1])), string(m[2])):
			last = strings.ToLower(string(m[1]))
			fields[last] = strings.TrimSpace(string(m[2]))
		default:
			return fields, rest, nil
		}
		rest = after
	}
	return fields, nil, nil
}

// mailHeader reads the header of a mail. separator is the mbox's line before
// it, if there is one.
func mailHeader(data []byte) (separator []byte, fields map[string]string, body []byte, err error) {
	if bytes.HasPrefix(data, []byte("From ")) || bytes.HasPrefix(data, []byte(">From ")) {
		separator, data = cutLine(data)
	}
	fields, body, err = readHeader(data, func(string, string) bool { return true })
	return separator, fields, body, err
}

// decodeWords decodes the encoded words of RFC 2047 in a header's value, as git
// format-patch writes them for a name or a subject that is not ASCII.
func decodeWords(s string) (string, error) {
	out, err := new(mime.WordDecoder).DecodeHeader(s)
	if err != nil || !utf8.ValidString(out) {
		return "", fmt.Errorf("%q is not in UTF-8: save the patch with git format-patch", s)
	}
	return out, nil
}

// prefix is what the words in brackets before a subject say.
type prefix struct {
	number, total int // of "3/7"; -1 and 0 where there is none
	version       int // of "v2"; 1 where there is none
}

var (
	// beforeSubject is what git mailinfo takes off the start of a subject.
	beforeSubject = regexp.MustCompile(`^(?:[ \t:]|(?i:re:)|\[[^]]*\])*`)
	fractionWord  = regexp.MustCompile(`^(\d{1,5})/(\d{1,5})$`)
	versionWord   = regexp.MustCompile(`^[vV](\d{1,4})$`)
)

// splitSubject reads the words in brackets at the start of a subject, such as
// "[RFC PATCH v2 03/10]", and returns them and the subject without them.
func splitSubject(s string) (prefix, string) {
	before := beforeSubject.FindString(s)
	p := prefix{number: -1, version: 1}
	for _, w := range strings.FieldsFunc(before, func(r rune) bool { return strings.ContainsRune(space+"[]", r) }) {
		switch m, v := fractionWord.FindStringSubmatch(w), versionWord.FindStringSubmatch(w); {
		case m != nil && p.number < 0:
			p.number, _ = strconv.Atoi(m[1])
			p.total, _ = strconv.Atoi(m[2])
		case v != nil:
			p.version, _ = strconv.Atoi(v[1])
		}
	}
	return p, strings.Join(strings.Fields(s[len(before):]), " ")
}

// message is a mail as git mailinfo reads it.
type message struct {
	prefix         // of the mail's own subject, whatever its body says
	subject string // without what is before it
	author  Person
	date    time.Time
	text    string // what becomes the commit message, without the subject
	diff    []byte // the end of the mail, from the line that ends the message on
}

// messageEnd is the line that ends the message: git's rule (patchbreak() in
// mailinfo.c).
var messageEnd = regexp.MustCompile(`(?m)^(?:diff -|Index: |--- \S|---[ \t\r\v\f]*\n)`)

// parseMail reads one mail. The error says what is wrong with it.
func parseMail(data []byte) (*message, error) {
	_, fields, body, err := mailHeader(data)
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
	m := new(message)
	m.prefix, _ = splitSubject(subject)

	// Fields at the start of the body override those of the mail: a mail has
	// them that was sent for another person.
	seen := make(map[string]bool)
	inBody, text, err := readHeader(bytes.TrimLeft(body, "\n"), func(name, value string) bool {
		again := seen[name]
		seen[name] = true
		return !again && (name == "from" || name == "subject" || name == "date") && strings.TrimLeft(value, space) != value
	})
	if err != nil {
		return nil, err
	}
	if at := messageEnd.FindIndex(text); at != nil {
		text, m.diff = text[:at[0]], text[at[0]:]
	}
	if !utf8.Valid(text) {
		return nil, errors.New("the message is not in UTF-8: save the patch with git format-patch")
	}
	m.text = cleanText(string(text))

	for name, value := range inBody {
		fields[name] = value
	}
	if subject, err = decodeWords(fields["subject"]); err != nil {
		return nil, err
	}
	_, m.subject = splitSubject(subject)
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
		if m.date, err = mail.ParseDate(date); err != nil {
			m.date, err = gitdiff.ParsePatchDate(date)
		}
		if err != nil {
			return nil, fmt.Errorf("no date can be read from %q", "Date: "+date)
		}
	}
	return m, nil
}

// checkEncoding refuses a body that is not the plain text that git format-patch
// writes.
func checkEncoding(fields map[string]string) error {
	const advice = "save the patch with git format-patch"

	mediaType, params, err := mime.ParseMediaType(fields["content-type"])
	if err != nil {
		params = nil
	}
	encoding, charset := strings.ToLower(fields["content-transfer-encoding"]), strings.ToLower(params["charset"])
	switch {
	case strings.HasPrefix(mediaType, "multipart/"):
		return fmt.Errorf("the mail has several parts (%s): %s", mediaType, advice)
	case strings.EqualFold(params["format"], "flowed"):
		return errors.New("the mail is format=flowed, which breaks long lines of a patch; have it sent by git send-email")
	case encoding != "" && encoding != "7bit" && encoding != "8bit" && encoding != "binary":
		return fmt.Errorf("the patch is encoded as %s: %s", encoding, advice)
	case charset != "" && charset != "utf-8" && charset != "us-ascii":
		return fmt.Errorf("the message is in %s, not in UTF-8: %s", charset, advice)
	}
	return nil
}

// cleanText does what git stripspace does: no blanks at line ends, no blank
// lines at the start and end, and one where there are several.
func cleanText(s string) string {
	var b strings.Builder
	blank := false
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, space)
		if line != "" {
			if blank && b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(line + "\n")
		}
		blank = line == ""
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
