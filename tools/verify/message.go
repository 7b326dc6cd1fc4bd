// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/series"
	"vcpulab/tools/tomlfile"
)

func message(_ context.Context, s *Submission, _ io.Writer) ([]Finding, error) {
	var found []Finding
	for _, p := range s.Series.Patches {
		found = append(found, messageFindings(p)...)
	}
	if c := s.Series.Cover; c != nil {
		found = append(found, coverFindings(c)...)
	}
	return found, nil
}

//go:embed message.toml
var styleText []byte

// style is message.toml.
var style = func() (s struct {
	Phrases []struct {
		Pattern *regexp.Regexp
		Why     string
	}
	Order, Given []string // trailers
}) {
	tomlfile.Embedded("message.toml", styleText, &s)
	return s
}()

func messageFindings(p *series.Patch) []Finding {
	var found []Finding
	add := func(line string, f Finding) {
		f.Patch, f.Line, f.Found = p.Name, lineIn(p, line), line
		found = append(found, f)
	}
	for line := range strings.Lines(p.Subject + "\n" + p.Message) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "  ") { // quoted
			continue
		}
		for _, ph := range style.Phrases {
			if m := ph.Pattern.FindString(line); m != "" {
				add(line, Finding{Message: fmt.Sprintf("the message says %q", m), Why: ph.Why})
			}
		}
	}
	last := 0
	for _, t := range p.Trailers {
		text := t.Key + ": " + t.Value
		key := strings.ToLower(t.Key)
		at := slices.Index(style.Order, key)
		switch {
		case slices.Contains(style.Given, key):
			add(text, Finding{Message: "only others can give this trailer", Do: "leave it to whoever reviews or applies the series"})
		case at < 0:
			add(text, Finding{Message: "the kernel's process does not know this trailer"})
		case at < last:
			add(text, Finding{Message: "the trailer stands in the wrong place", Expected: strings.Join(style.Order, ", then ")})
		default:
			last = at
		}
	}
	return found
}

const maxColumns = 75 // of a mail

// coverFindings looks at the text of the cover letter, above the shortlog.
func coverFindings(c *series.Patch) []Finding {
	var found []Finding
	n := 0
	body := false
	for line := range strings.Lines(string(c.Mail)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		body = body || line == ""
		if shortlogHead.MatchString(line) {
			break
		}
		if columns := len([]rune(line)); body && columns > maxColumns && strings.Contains(line, " ") {
			found = append(found, Finding{
				Patch: c.Name, Line: n, Message: fmt.Sprintf("the line has %d columns, more than %d", columns, maxColumns), Found: line,
			})
		}
	}
	return found
}

var shortlogHead = regexp.MustCompile(`^\S.* \(\d+\):$`)

// spellingFile is the kernel's own list of mistakes.
const spellingFile = "scripts/spelling.txt"

func spelling(_ context.Context, s *Submission, log io.Writer) ([]Finding, error) {
	mistakes, err := loadSpelling(filepath.Join(s.Base.Dir, filepath.FromSlash(spellingFile)))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "%s: %d mistakes\n", spellingFile, len(mistakes))
	var found []Finding
	for _, p := range s.Series.Patches {
		found = append(found, misspelt(p, above(p.Below()), mistakes)...)
	}
	if c := s.Series.Cover; c != nil {
		found = append(found, misspelt(c, c.Subject+"\n"+c.Message+"\n"+c.Below(), mistakes)...)
	}
	return found, nil
}

var aWord = regexp.MustCompile(`[A-Za-z]+(?:'[a-z]+)?`)

// repeats are words that may well stand twice in a row.
var repeats = map[string]bool{"that": true, "had": true, "long": true}

func misspelt(p *series.Patch, text string, mistakes map[string]string) []Finding {
	var found []Finding
	before := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		quoted := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		if quoted || line == "" {
			before = ""
		}
		end := 0
		for _, at := range aWord.FindAllStringIndex(line, -1) {
			word := line[at[0]:at[1]]
			lower := strings.ToLower(word)
			add := func(f Finding) {
				f.Patch, f.Found, f.Line = p.Name, line, lineIn(p, line)
				found = append(found, f)
			}
			if right, ok := mistakes[lower]; ok {
				add(Finding{Message: fmt.Sprintf("%q is misspelt", word), Expected: right})
			}
			gap := line[end:at[0]]
			if !quoted && word == before && strings.TrimSpace(gap) == "" && !repeats[lower] && len(word) > 1 {
				add(Finding{Message: fmt.Sprintf("%q stands there twice", word)})
			}
			before, end = word, at[1]
		}
		if end < len(strings.TrimRight(line, " ")) {
			before = "" // something other than a word ends the line
		}
	}
	return found
}

// loadSpelling reads lines "mistake||correction".
func loadSpelling(name string) (map[string]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the kernel's list of mistakes: %w", err)
	}
	mistakes := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		if wrong, right, ok := strings.Cut(strings.TrimSpace(line), "||"); ok && !strings.HasPrefix(wrong, "#") {
			mistakes[strings.ToLower(wrong)] = right
		}
	}
	if len(mistakes) == 0 {
		return nil, fmt.Errorf("read the kernel's list of mistakes: %s has none", name)
	}
	return mistakes, nil
}
