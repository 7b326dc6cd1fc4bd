// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

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
