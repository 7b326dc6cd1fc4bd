// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
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

// splitMbox cuts a file into mails by the rules of git mailsplit: a "From " line that ends in
// a date starts an mbox and each of its mails; a file that starts otherwise is one mail. Line
// ends of CR LF become LF, as git am has it by default.
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
	for l := range bytes.Lines(data) {
		if isFromLine(l) {
			mails = append(mails, rawMail{line: line})
		}
		if len(mails) > MaxMails {
			return nil, fmt.Errorf("more than %d mails: %w", MaxMails, ErrTooLarge)
		}
		m := &mails[len(mails)-1]
		m.data = append(m.data, l...)
		line++
	}
	return mails, nil
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

// readHeader reads header fields up to a blank line, or to a line that is none or that take
// refuses. It returns them unfolded by their names in lower case (the last of those that occur
// again, as git mailinfo takes it), and what follows them.
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

// mailHeader reads the header of a mail, and the mbox's line before it, if there is one.
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

var (
	// beforeSubject is what git mailinfo takes off the start of a subject.
	beforeSubject = regexp.MustCompile(`^(?:[ \t:]|(?i:re:)|\[[^]]*\])*`)
	fractionWord  = regexp.MustCompile(`^(\d{1,5})/(\d{1,5})$`)
	versionWord   = regexp.MustCompile(`^[vV](\d{1,4})$`)
)

// withoutPrefix returns a subject without the words in brackets at its start.
func withoutPrefix(s string) string {
	return strings.Join(strings.Fields(s[len(beforeSubject.FindString(s)):]), " ")
}

// setNumbers reads the words in brackets before a subject, such as "[RFC PATCH v2 03/10]".
func (p *Patch) setNumbers(subject string) {
	p.Number, p.Version, p.prefix = -1, 1, strings.TrimSpace(beforeSubject.FindString(subject))
	for _, w := range strings.FieldsFunc(beforeSubject.FindString(subject), func(r rune) bool { return strings.ContainsRune(space+"[],", r) }) {
		switch m, v := fractionWord.FindStringSubmatch(w), versionWord.FindStringSubmatch(w); {
		case m != nil && p.Number < 0:
			p.Number, _ = strconv.Atoi(m[1])
			p.Total, _ = strconv.Atoi(m[2])
		case v != nil:
			p.Version, _ = strconv.Atoi(v[1])
		}
	}
}

// setSent reads how a mail was sent, of its header.
func (p *Patch) setSent(fields map[string]string) {
	p.id = messageID.FindString(fields["message-id"])
	p.recipients = strings.Trim(fields["to"]+", "+fields["cc"], ", ")
}

// messageEnd is the line that ends the message, by git's rule (patchbreak() in mailinfo.c).
var messageEnd = regexp.MustCompile(`(?m)^(?:diff -|Index: |--- \S|---[ \t\r\v\f]*\n)`)

// parseMail reads one mail as git mailinfo does, but for its diff.
func parseMail(data []byte) (*Patch, error) {
	_, fields, body, err := mailHeader(data)
	if err != nil {
		return nil, err
	}
	if err := checkEncoding(fields); err != nil {
		return nil, err
	}
	p := &Patch{Mail: data}
	p.setSent(fields)

	// Fields at the start of the body are those of the person for whom the mail was sent.
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
		text, p.diff = text[:at[0]], text[at[0]:]
	}
	if !utf8.Valid(text) {
		return nil, errors.New("the message is not in UTF-8: save the patch with git format-patch")
	}
	p.Message = cleanText(string(text))
	p.Trailers = parseTrailers(p.Message)

	own := fields["subject"]
	maps.Copy(fields, inBody)
	subject, from := fields["subject"], fields["from"]
	for _, field := range []*string{&own, &subject, &from} {
		if *field, err = decodeWords(*field); err != nil {
			return nil, err
		}
	}
	// The number is that of the mail's own subject, whatever its body says.
	p.setNumbers(own)
	if p.Subject = withoutPrefix(subject); p.Subject == "" {
		return nil, errors.New("the mail has no subject")
	}

	// Git's own rules for names and comments, which are laxer than the standard's.
	id, err := gitdiff.ParsePatchIdentity(from)
	if err != nil && from != "" {
		return nil, fmt.Errorf("no author can be read from %q", "From: "+from)
	}
	if p.Author = Person(id); p.Author.Email == "" {
		return nil, errors.New("the mail has no From field with an address")
	}
	if date := fields["date"]; date != "" {
		if p.Date, err = mail.ParseDate(date); err != nil {
			p.Date, err = gitdiff.ParsePatchDate(date)
		}
		if err != nil {
			return nil, fmt.Errorf("no date can be read from %q", "Date: "+date)
		}
	}
	return p, nil
}

// checkEncoding refuses a body that is not plain text, as git format-patch writes it.
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
	s = strings.Trim(blankLines.ReplaceAllString(blankEnd.ReplaceAllString(s, ""), "\n\n"), "\n")
	if s == "" {
		return ""
	}
	return s + "\n"
}

var (
	blankEnd   = regexp.MustCompile(`(?m)[ \t\r\v\f]+$`)
	blankLines = regexp.MustCompile(`\n{3,}`)
)

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
