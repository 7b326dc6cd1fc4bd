// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

var diffstat = Check{
	Name: "diffstat",
	Explain: "The diffstat of each mail is that of its diff, as git writes it. " +
		"One that is not tells that the mail was edited after it was made, and reviewers look at it first.",
	Needs: []string{"git"},
	Run: func(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
		mails, err := s.formatted(ctx)
		if err != nil {
			return nil, err
		}
		var found []Finding
		for i, p := range s.Series.Patches {
			want := above(below(mails[i+1]))
			is := above(p.Below())
			fmt.Fprintf(log, "%s\n%s\n", p.Name, want)
			// Notes may stand before it.
			if f := differs(lastLines(is, strings.Count(want, "\n")), want); f != nil && !strings.HasSuffix(is, "\n"+want) && is != want {
				f.Patch, f.Message = p.Name, "the diffstat is not that of the diff"
				f.Do = "git am the series, and git format-patch it again; vcpulab generate --write for a generated patch"
				found = append(found, *f)
			}
		}
		return found, nil
	},
}

var cover = Check{
	Name: "cover",
	Explain: "Shortlog, diffstat and totals at the end of the cover letter are what git makes of the patches. " +
		"They go stale with every patch that changes, and are not read as long as they look right.",
	Needs: []string{"git"},
	Run: func(ctx context.Context, s *Submission, log io.Writer) ([]Finding, error) {
		c := s.Series.Cover
		if c == nil {
			return nil, nil // the check "mails" says so
		}
		mails, err := s.formatted(ctx)
		if err != nil {
			return nil, err
		}
		// Git's letter is its blurb, then the shortlog and the diffstat.
		_, want, ok := strings.Cut(mails[0], "*** BLURB HERE ***\n\n")
		if !ok {
			return nil, fmt.Errorf("git format-patch has written a cover letter without a blurb")
		}
		want = strings.TrimSpace(want)
		fmt.Fprintf(log, "the end of the cover letter, as git makes it:\n%s\n", want)
		text := c.Message
		if more := c.Below(); more != "" {
			text += "\n" + more
		}
		text, _, _ = strings.Cut(text, "\n-- \n")
		text = strings.TrimSpace(text)
		if strings.HasSuffix(text, "\n"+want) {
			return nil, nil
		}
		head, _, _ := strings.Cut(want, "\n") // "vcpulab (39):"
		name, _, _ := strings.Cut(head, " (")
		at := strings.LastIndex(text, "\n"+name+" (")
		if at < 0 {
			return []Finding{{Patch: c.Name, Message: "there is no shortlog", Expected: head, Do: "end the letter with what the check's log has"}}, nil
		}
		f := differs(strings.TrimSpace(text[at:]), want)
		if f == nil {
			return nil, fmt.Errorf("%s: expected to find in what the end differs, found nothing", c.Name)
		}
		f.Patch, f.Message = c.Name, "shortlog and diffstat are not what git makes of the patches: "+f.Message
		f.Line = lineIn(string(c.Mail), f.Found)
		f.Do = "end the letter with what the check's log has"
		return []Finding{*f}, nil
	},
}

// formatted returns the mails that git format-patch makes of what git am has
// made, the cover letter first.
func (s *Submission) formatted(ctx context.Context) ([]string, error) {
	r, err := s.applied(ctx)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(r.dir, "mails")
	if _, _, err := r.git.Run(ctx, "format-patch", "--quiet", "--cover-letter", "--no-signature", "--no-base", "--abbrev=12", "-N",
		"--output-directory="+dir, "base..HEAD"); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var mails []string
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		mails = append(mails, string(data))
	}
	if len(mails) != len(s.Series.Patches)+1 {
		return nil, fmt.Errorf("git format-patch: expected %d mails, found %d", len(s.Series.Patches)+1, len(mails))
	}
	return mails, os.RemoveAll(dir)
}

// below returns what stands below the message of a mail.
func below(mail string) string {
	_, text, _ := strings.Cut(mail, "\n---\n")
	return text
}

// above returns what stands above the diff: notes and diffstat.
func above(text string) string {
	text, _, _ = strings.Cut("\n"+text, "\ndiff --git ")
	return strings.Trim(strings.TrimPrefix(strings.TrimPrefix(text, "\n"), "---\n"), "\n")
}

func lastLines(text string, more int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-1-more):], "\n")
}

// differs returns a finding for the first line in which is and want differ,
// nil if they do not.
func differs(is, want string) *Finding {
	a, b := strings.Split(is, "\n"), strings.Split(want, "\n")
	lines := 0
	var f *Finding
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = strings.TrimRight(a[i], " ")
		}
		if i < len(b) {
			y = strings.TrimRight(b[i], " ")
		}
		if x == y {
			continue
		}
		if lines++; f == nil {
			f = &Finding{Expected: y, Found: x}
		}
	}
	if f != nil {
		f.Message = count(lines, "line") + " differ"
	}
	return f
}

// lineIn returns the last line of text that is line, from 1, or 0.
func lineIn(text, line string) int {
	found := 0
	n := 0
	for l := range strings.Lines(text) {
		if n++; strings.TrimRight(l, " \r\n") == line && line != "" {
			found = n
		}
	}
	return found
}
