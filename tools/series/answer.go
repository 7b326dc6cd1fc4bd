// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
)

// Answer is a mail that answers a series: its cover letter, or else its first patch.
type Answer struct {
	From string `json:"from"`
	// To is the author, Cc are all who got what is answered, "" if it was not sent.
	To      string `json:"to"`
	Cc      string `json:"cc,omitempty"`
	Subject string `json:"subject"`
	// InReplyTo is the Message-ID of what is answered, "" if it was not sent.
	InReplyTo string `json:"in_reply_to,omitempty"`
	Body      string `json:"body"`
}

// Answer returns a mail with that text below what it answers.
func (s *Series) Answer(from Person, text string) Answer {
	m := s.mails()[0]
	at := m.Author.Name + " wrote:\n"
	if !m.Date.IsZero() {
		at = "On " + m.Date.Format("Mon, Jan 2, 2006") + ", " + at
	}
	return Answer{
		From: from.address(), To: m.Author.address(), Cc: progress.Printable(m.recipients), InReplyTo: m.id,
		Subject: progress.Printable("Re: " + m.prefix + " " + m.Subject),
		Body:    at + "> " + progress.Printable(m.Subject) + "\n\n" + text,
	}
}

// WriteText writes the mail as git send-email and sendmail -t take it.
func (a Answer) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, f := range [][2]string{
		{"From", a.From}, {"To", a.To}, {"Cc", strings.ReplaceAll(a.Cc, ", ", ",\n ")},
		{"Subject", mime.QEncoding.Encode("UTF-8", a.Subject)}, {"In-Reply-To", a.InReplyTo}, {"References", a.InReplyTo},
	} {
		if f[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", f[0], f[1])
		}
	}
	b.WriteString("MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n" + a.Body)
	_, err := io.WriteString(w, b.String())
	return err
}

// address is how a header has the person.
func (p Person) address() string { return fmt.Sprintf("%s <%s>", mailName(p.Name), p.Email) }

// ParsePerson reads "Name <address>". An error stands for exit.Usage.
func ParsePerson(text string) (Person, error) {
	var p Person
	a, err := mail.ParseAddress(text)
	if err == nil {
		p = Person{a.Name, a.Address}
		a, err = mail.ParseAddress(p.address()) // fails for an address that needs quotes
	}
	if err != nil || p.Name == "" || p != (Person{a.Name, a.Address}) {
		return Person{}, exit.With(exit.Usage, fmt.Errorf("expected a name and an address, as \"Jane Doe <jane@example.org>\", found %q", text))
	}
	return p, nil
}
