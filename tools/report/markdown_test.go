// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMarkdown(t *testing.T) {
	golden(t, "table.md", render(t, "markdown", readFixture(t)))
}

// Every line of a table has the cells of its first, and is as long.
func TestMarkdownAligned(t *testing.T) {
	text := string(render(t, "markdown", withTimes(t, readFixture(t))))
	tables, head := 0, ""
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "|") {
			head = ""
			continue
		}
		if head == "" {
			head = line
			tables++
		}
		if strings.Count(line, " | ") != strings.Count(head, " | ") ||
			utf8.RuneCountInString(line) != utf8.RuneCountInString(head) {
			t.Errorf("does not match the table's head:\n%s\n%s", head, line)
		}
	}
	if tables != 2 {
		t.Errorf("expected a table for each of 2 methods, found %d", tables)
	}
}

// It says where and how it was measured.
func TestMarkdownSaysWhere(t *testing.T) {
	r := readFixture(t)
	text := string(render(t, "markdown", r))
	k := r.Kernels[0]
	for _, want := range []string{
		"Linux " + k.Release, shortQEMU(r.Host.QEMU), escapeMarkdown(k.Compiler), "HZ=",
		escapeMarkdown(k.Preemption), escapeMarkdown(k.RCU), short(k.Config),
	} {
		if want == "" || !strings.Contains(text, want) {
			t.Errorf("does not say %q", want)
		}
	}
}

func TestEscapeMarkdown(t *testing.T) {
	for in, want := range map[string]string{
		"plain text 1.5":         "plain text 1.5",
		"a|b":                    `a\|b`,
		"<script>":               `\<script\>`,
		"`code` *bold* [link]":   "\\`code\\` \\*bold\\* \\[link\\]",
		"KVM_CREATE_VCPU":        "KVM_CREATE_VCPU",
		"_emphasis_ and _":       `\_emphasis\_ and \_`,
		"two\nlines\t and blank": "two lines and blank",
	} {
		if got := escapeMarkdown(in); got != want {
			t.Errorf("%q: expected %q, found %q", in, want, got)
		}
	}
}

func TestMail(t *testing.T) {
	var b bytes.Buffer
	if err := Mail(&b, readFixture(t)); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if utf8.RuneCountInString(line) > 75 || strings.TrimRight(line, " ") != line {
			t.Errorf("does not fit into a mail: %q", line)
		}
	}
	golden(t, "mail.txt", b.Bytes())
}

// Variants do not get into a mail.
func TestMailOfVariants(t *testing.T) {
	var want, got bytes.Buffer
	if err := Mail(&want, readFixture(t)); err != nil {
		t.Fatal(err)
	}
	if err := Mail(&got, withVariants(t, readFixture(t))); err != nil {
		t.Fatal(err)
	}
	if want.String() != got.String() {
		t.Errorf("expected the same mail, found\n%s", got.String())
	}
}

func TestMailRefuses(t *testing.T) {
	one := readFixture(t)
	one.Kernels = one.Kernels[:1]
	half := readFixture(t)
	only(half, "base")
	other := readFixture(t)
	for i := range other.Figures {
		other.Figures[i].Method = "kvm"
	}
	for name, r := range map[string]func() error{
		"nothing to quote": func() error { return Mail(&bytes.Buffer{}, other) },
		"one kernel":       func() error { return Mail(&bytes.Buffer{}, one) },
		"of one kernel":    func() error { return Mail(&bytes.Buffer{}, half) },
		"disk that's full": func() error { return Mail(broken{}, readFixture(t)) },
	} {
		if r() == nil {
			t.Errorf("%s: expected an error", name)
		}
	}
}
