// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"fmt"
	"strconv"
)

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
