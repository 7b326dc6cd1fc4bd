// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"fmt"
	"mime"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// headerField splits a line into a header field's name, in lower case, and
// its value.
func headerField(line []byte) (name, value string, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return "", "", false
	}
	for _, c := range line[:i] {
		if c <= ' ' || c > '~' {
			return "", "", false
		}
	}
	return strings.ToLower(string(line[:i])), strings.TrimSpace(string(line[i+1:])), true
}

// readHeader reads the header of a mail. It returns the
// fields, unfolded, by their names in lower case (of fields that occur more
// than once the last, as git mailinfo takes it), what follows the header, and
// how many lines the header has.
func readHeader(data []byte) (fields map[string]string, rest []byte, lines int, err error) {
	fields = make(map[string]string)
	rest = data
	last := ""
	for len(rest) > 0 {
		line, after := cutLine(rest)
		if lines++; lines > maxHeaderLines || len(data)-len(after) > maxHeaderBytes {
			return nil, nil, 0, fmt.Errorf("a header of more than %d lines or %d bytes", maxHeaderLines, maxHeaderBytes)
		}
		name, value, ok := headerField(line)
		switch {
		case len(bytes.TrimRight(line, "\r\n")) == 0:
			return fields, after, lines, nil
		case (line[0] == ' ' || line[0] == '\t') && last != "":
			fields[last] += " " + strings.TrimSpace(string(line))
		case ok:
			fields[name], last = value, name
		case lines == 1 && (bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))):
		default:
			// Text without a blank line before it: the body starts here.
			return fields, rest, lines - 1, nil
		}
		rest = after
	}
	return fields, nil, lines, nil
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

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// cutBracket takes from the start of a subject what git mailinfo takes off
// there: any number of "Re:" and colons, then words in brackets. ok is false
// if there are no brackets.
func cutBracket(s string) (words, rest string, ok bool) {
	for {
		s = strings.TrimLeft(s, " \t:")
		if len(s) <= 3 || !strings.EqualFold(s[:3], "re:") {
			break
		}
		s = s[3:]
	}
	if inside, found := strings.CutPrefix(s, "["); found {
		if words, rest, ok = strings.Cut(inside, "]"); ok {
			return words, rest, true
		}
	}
	return "", s, false
}

// cleanSubject returns a subject without what stands before it.
func cleanSubject(s string) string {
	for ok := true; ok; {
		_, s, ok = cutBracket(s)
	}
	return strings.Join(strings.Fields(s), " ")
}

// prefix is what the words in brackets before a subject say.
type prefix struct {
	number, total int // of "3/7"; -1 and 0 where there is none
	version       int // of "v2"; 1 where there is none
}

var (
	fractionWord = regexp.MustCompile(`^(\d{1,5})/(\d{1,5})$`)
	versionWord  = regexp.MustCompile(`^[vV](\d{1,4})$`)
)

// parsePrefix reads the words in brackets at the start of a subject, such as
// "[RFC PATCH v2 03/10]".
func parsePrefix(subject string) prefix {
	p := prefix{number: -1, version: 1}
	for {
		words, rest, ok := cutBracket(subject)
		if !ok {
			return p
		}
		subject = rest
		for _, w := range strings.Fields(words) {
			switch m, v := fractionWord.FindStringSubmatch(w), versionWord.FindStringSubmatch(w); {
			case m != nil && p.number < 0:
				p.number, _ = strconv.Atoi(m[1])
				p.total, _ = strconv.Atoi(m[2])
			case v != nil:
				p.version, _ = strconv.Atoi(v[1])
			}
		}
	}
}

// rawMail is one mail as it stands in a file.
type rawMail struct {
	line int // 1-based line of its first byte in the file
	data []byte
}

// splitMbox cuts a file into mails by the rules of git mailsplit: an mbox
// starts with a "From " line that ends in a date, and so does each of its
// mails; a file that starts otherwise is one mail. Line ends of CR LF
// become LF, as git am has it by default.
func splitMbox(data []byte) ([]rawMail, error) {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	line := 1
	for len(data) > 0 && isSpace(data[0]) {
		if data[0] == '\n' {
			line++
		}
		data = data[1:]
	}
	if len(data) == 0 {
		return nil, nil
	}
	first, _ := cutLine(data)
	if !isFromLine(first) {
		if _, _, ok := headerField(first); !ok {
			return nil, fmt.Errorf("a mail starts with %q or a header field, this with %q", "From ", clip(first))
		}
		return []rawMail{{line: line, data: data}}, nil
	}
	var mails []rawMail
	start, at := 0, 0
	for at < len(data) {
		l, _ := cutLine(data[at:])
		if at > start && isFromLine(l) {
			if len(mails) == MaxMails-1 {
				return nil, fmt.Errorf("more than %d mails: %w", MaxMails, ErrTooLarge)
			}
			mails = append(mails, rawMail{line: line, data: data[start:at]})
			line += bytes.Count(data[start:at], []byte("\n"))
			start = at
		}
		at += len(l)
	}
	return append(mails, rawMail{line: line, data: data[start:]}), nil
}

// cutLine returns the first line with its line end, and what follows.
func cutLine(data []byte) (line, rest []byte) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return data[:i+1], data[i+1:]
	}
	return data, nil
}

// isFromLine tells the separator of an mbox from a line of text that starts
// with "From ": it has a time and a year after 1990. The rule is git's
// (builtin/mailsplit.c), so that both cut at the same places.
func isFromLine(line []byte) bool {
	if len(line) < 20 || !bytes.HasPrefix(line, []byte("From ")) {
		return false
	}
	colon := bytes.LastIndexByte(line[:len(line)-2], ':')
	if colon < 9 || colon+3 > len(line) {
		return false
	}
	for _, i := range []int{-4, -2, -1, 1, 2} {
		if c := line[colon+i]; c < '0' || c > '9' {
			return false
		}
	}
	rest := bytes.TrimLeft(line[colon+3:], " \t")
	n := 0
	for n < len(rest) && n < 9 && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	year, err := strconv.Atoi(string(rest[:n]))
	return err == nil && year > 90
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'
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
