// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTable(t *testing.T) {
	golden(t, "table.txt", render(t, "table", readFixture(t)))
}

func TestTableWithTimes(t *testing.T) {
	golden(t, "table-kvm.txt", render(t, "table", withTimes(t, readFixture(t))))
}

func TestTableFits(t *testing.T) {
	for name, got := range map[string][]byte{
		"one method":  render(t, "table", readFixture(t)),
		"two methods": render(t, "table", withTimes(t, readFixture(t))),
	} {
		for _, line := range strings.Split(string(got), "\n") {
			if n := utf8.RuneCountInString(line); n > 100 {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("%s: blanks at the end: %q", name, line)
			}
		}
	}
}

// Colour adds to the text, it says nothing that the text does not say.
func TestTableColours(t *testing.T) {
	escape := regexp.MustCompile("\x1b\\[[0-9]*m")
	coloured := render(t, "colours", readFixture(t))
	if got := escape.ReplaceAll(coloured, nil); !bytes.Equal(got, render(t, "table", readFixture(t))) {
		t.Error("without its colours the text is another")
	}
	if !bytes.Contains(coloured, []byte(green)) {
		t.Error("nothing is green")
	}
	if bytes.Count(coloured, []byte(plain))*2 != len(escape.FindAll(coloured, -1)) {
		t.Error("a style is not ended")
	}
}

// A file is not a terminal.
func TestColours(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Colours(f) || Colours(&bytes.Buffer{}) {
		t.Error("expected no colours off a terminal")
	}
}

// Instructions are never shown as time.
func TestUnitsAreSaid(t *testing.T) {
	r := readFixture(t)
	for name := range writers {
		if got := render(t, name, r); regexp.MustCompile(`\b(ns|nanoseconds|faster|slower)\b`).Match(withoutProse(got)) {
			t.Errorf("%s speaks of time, all there is are instructions", name)
		}
		if !bytes.Contains(render(t, name, r), []byte("instructions")) {
			t.Errorf("%s does not say that it shows instructions", name)
		}
	}
	for name := range writers {
		if got := render(t, name, withTimes(t, readFixture(t))); !bytes.Contains(got, []byte("ns")) {
			t.Errorf("%s does not say that it shows nanoseconds", name)
		}
	}
}

// withoutProse leaves out what a page says about the method.
func withoutProse(page []byte) []byte {
	before, rest, found := bytes.Cut(page, []byte(`<h2 id="how">`))
	if !found {
		return page
	}
	_, after, _ := bytes.Cut(rest, []byte("</section>"))
	return append(bytes.Clone(before), after...)
}
