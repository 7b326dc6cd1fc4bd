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
