// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"regexp"
	"strings"
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
