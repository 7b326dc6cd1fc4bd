// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/progress"
	"vcpulab/tools/series"
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
			if is == want || strings.HasSuffix(is, "\n"+want) { // notes may stand before it
				continue
			}
			lines := strings.Split(is, "\n")
			f := difference(lines[max(0, len(lines)-1-strings.Count(want, "\n")):], want)
			f.Patch, f.Message = p.Name, "the diffstat is not that of the diff"
			f.Do = "git am the series, and git format-patch it again; vcpulab generate --write for a generated patch"
			found = append(found, f)
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
		f := difference(strings.Split(strings.TrimSpace(text[at:]), "\n"), want)
		f.Patch, f.Message = c.Name, "shortlog and diffstat are not what git makes of the patches: "+f.Message
		f.Line = lineIn(c, f.Found)
		f.Do = "end the letter with what the check's log has"
		return []Finding{f}, nil
	},
}

// formatted returns the mails that git format-patch makes of what git am has
// made, the cover letter first.
func (s *Submission) formatted(ctx context.Context) ([]string, error) {
	r, err := s.repository(ctx)
	if err == nil && r.failed != "" {
		err = errNotApplied
	}
	if err != nil {
		return nil, err
	}
	if r.mails != nil {
		return r.mails, nil
	}
	dir := filepath.Join(r.dir, "mails")
	if _, _, err := r.git.Run(ctx, "format-patch", "--quiet", "--cover-letter", "--no-signature", "--no-base", "--abbrev=12", "-N",
		"--output-directory="+dir, "base..HEAD"); err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil || len(names) != len(s.Series.Patches)+1 {
		return nil, fmt.Errorf("git format-patch: expected %d mails, found %d (%v)", len(s.Series.Patches)+1, len(names), err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		r.mails = append(r.mails, string(data))
	}
	return r.mails, nil
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

// difference returns a finding for the first line in which is and want differ.
func difference(is []string, want string) Finding {
	wanted := strings.Split(want, "\n")
	more := strings.Split(strings.Repeat("\n", max(len(is), len(wanted))), "\n") // lines that are not there
	is, wanted = append(slices.Clip(is), more[len(is):]...), append(wanted, more[len(wanted):]...)
	n := 0
	var f Finding
	for i, line := range is {
		if line == wanted[i] {
			continue
		}
		if n++; n == 1 {
			f.Expected, f.Found = wanted[i], line
		}
	}
	f.Message = progress.Count(n, "line") + " differ"
	return f
}

// lineIn returns the last line of a mail that is this one, from 1, or 0.
func lineIn(mail *series.Patch, line string) int {
	lines := strings.Split(string(mail.Mail), "\n")
	for i, l := range slices.Backward(lines) {
		if line != "" && strings.TrimRight(l, " \r") == strings.TrimRight(line, " ") {
			return i + 1
		}
	}
	return 0
}
