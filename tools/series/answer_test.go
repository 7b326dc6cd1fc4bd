// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
)

// TestAnswer reads an answer back as a mail.
func TestAnswer(t *testing.T) {
	p, err := parseMail([]byte("From: =?UTF-8?q?J=C3=A4n=2E?= <j@example.org>\nTo: a@example.org\nCc: \"B, b\" <b@example.org>,\n c@example.org\n" +
		"Message-ID: <1@x>\nDate: Sun, 22 Nov 2026 12:03:00 +0000\nSubject: [PATCH v2 00/10] KVM: =?UTF-8?q?Gr=C3=B6=C3=9Fe?=\n\nText.\n"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := (&Series{Cover: p}).Answer(Person{"J. D.", "jd@example.org"}, "Good.\n").WriteText(&b); err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := decodeWords(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{subject, m.Header.Get("In-Reply-To"), m.Header.Get("References")}
	for _, name := range []string{"From", "To", "Cc"} {
		all, err := m.Header.AddressList(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, a := range all {
			got = append(got, strings.TrimSpace(a.Name+" "+a.Address))
		}
	}
	want := []string{"Re: [PATCH v2 00/10] KVM: Größe", "<1@x>", "<1@x>", "J. D. jd@example.org", "Jän. j@example.org", "a@example.org", "B, b b@example.org", "c@example.org"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, b.String())
	}
}

func TestParsePerson(t *testing.T) {
	for text, want := range map[string]Person{
		"Jané Doe <jane@example.org>": {"Jané Doe", "jane@example.org"},
		"jane@example.org":            {}, "": {}, "Jane": {}, "Jane <jane>": {}, "A <a@x>\nBcc: b@x": {},
	} {
		got, err := ParsePerson(text)
		if got != want || (err != nil) != (want == Person{}) || err != nil && exit.Code(err) != exit.Usage {
			t.Errorf("%q: expected %v, found %v, %v", text, want, got, err)
		}
	}
}

// FuzzParsePerson: who is taken can be written into a header, and is read back from there.
func FuzzParsePerson(f *testing.F) {
	for _, text := range []string{"Jané Doe <jane@example.org>", `"Doe, J. \"x\"" <jane@example.org>`, "=?utf-8?q?a=0Ab?= <a@x>", `A <"b c"@x>`, "A <a@x>\nBcc: b@x", "A <a@[127.0.0.1]>"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePerson(text)
		if err != nil {
			return
		}
		if again, err := ParsePerson(p.address()); again != p || err != nil || strings.ContainsAny(p.address(), "\r\n\x00") {
			t.Errorf("%q is %+v, and from %q %+v, %v", text, p, p.address(), again, err)
		}
	})
}
