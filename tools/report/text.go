// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"strings"
	"unicode/utf8"
)

// notes writes what the numbers need to be read right.
func (t *table) notes() {
	if text := t.noise.finding(); text != "" {
		t.wrapped(red, text)
	}
	for _, arm := range t.arms {
		text := t.noise.sentence(arm) + t.probes(arm)
		if len(t.arms) > 1 {
			text = armName(arm) + ": " + text
		}
		t.wrapped("", text)
	}
	if t.uncertain() {
		t.wrapped("", uncertainSentence)
	}
	if len(t.arms) == 1 {
		t.wrapped("", t.limitSentence())
	}
	t.wrapped("", strings.Join(t.explanations(), " "))
	t.wrapped("", t.repeated()+" Measured with "+strings.Join(t.where(), ", ")+".")
}

const uncertainSentence = "~ is within what the baseline differs from itself, between boots or in A/A."

// uncertain says that a change lies within the noise.
func (s *sheet) uncertain() bool {
	for _, g := range s.groups {
		for _, r := range g.rows {
			for _, arm := range s.arms {
				for _, column := range s.against {
					if s.change(r, arm, column).verdict == within {
						return true
					}
				}
			}
		}
	}
	return false
}

// line writes a line in a style.
func (t *table) line(style, text string) {
	t.style(style, strings.TrimRight(text, " "))
	t.b.WriteByte('\n')
}

// wrapped writes a text as lines of at most lineWidth columns.
func (t *table) wrapped(style, text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > lineWidth {
			t.line(style, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		t.line(style, line)
	}
}

// style writes text in a style, if colours are wanted.
func (t *table) style(style, text string) {
	if !t.colour || style == "" || text == "" {
		t.b.WriteString(text)
		return
	}
	t.b.WriteString(style + text + plain)
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
}

func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0)) + s
}
