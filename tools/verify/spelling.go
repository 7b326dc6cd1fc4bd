// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"vcpulab/tools/series"
)

// spellingFile is the kernel's own list of mistakes.
const spellingFile = "scripts/spelling.txt"

var spelling = Check{
	Name: "spelling",
	Explain: "The cover letter, and the notes below a mail's \"---\", have no word of the kernel's scripts/spelling.txt, and none twice in a row. " +
		"Of messages and code checkpatch says so; these it does not look at.",
	Run: func(_ context.Context, s *Submission, log io.Writer) ([]Finding, error) {
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
	},
}

var aWord = regexp.MustCompile(`[A-Za-z]+(?:'[a-z]+)?`)

// repeats are words that may well stand twice in a row.
var repeats = map[string]bool{"that": true, "had": true, "long": true}

// misspelt looks at a text of a mail.
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
