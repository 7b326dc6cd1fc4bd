// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"vcpulab/tools/exit"
)

// PrepareOptions say how a series is to be sent.
type PrepareOptions struct {
	// Submitter is who sends it: author and Signed-off-by of every mail.
	Submitter Person
	// Version is the n of "[PATCH vn]"; 1 (or 0) is written as "[PATCH]".
	Version int
	// Tag is a word before PATCH, such as RFC; may be "".
	Tag string
	// Base is put at the end of the cover letter: what the series applies to, in lines.
	Base string
	// TreeDir is the kernel tree whose MAINTAINERS file names the recipients.
	TreeDir string
	// OutDir is made for the patches. Replace allows for one that holds nothing but patches.
	OutDir  string
	Replace bool
	// Private sends it to Recipients and to the maintainers, and to no list.
	Private    bool
	Recipients []string
	// LeaveOut are the subjects of patches that are not sent.
	LeaveOut []string
}

// Prepared is a series that is ready to be sent.
type Prepared struct {
	// Dir is the directory of the mails, Mails their paths in order.
	Dir   string   `json:"dir"`
	Mails []string `json:"mails"`
	// Recipients are those that the kernel's MAINTAINERS file names.
	Recipients []Recipient `json:"recipients"`
	// LeftOut are the subjects of the patches that are not among the mails.
	LeftOut []string `json:"left_out,omitempty"`
	// WaitsFor are the sets that have to be public before this one is.
	WaitsFor []string `json:"waits_for,omitempty"`
	// Command is the git send-email command, by words, that sends them.
	Command []string `json:"command"`
}

// Prepare writes the mails of the series as a submitter sends them: with the submitter as the
// author, the version in subjects and names, the base in the cover letter. When it fails
// nothing is left.
func (s *Series) Prepare(ctx context.Context, o PrepareOptions) (*Prepared, error) {
	fail := func(err error) (*Prepared, error) {
		return nil, fmt.Errorf("prepare the series for sending: %w", err)
	}
	if err := o.check(s); err != nil {
		return fail(exit.With(exit.Usage, err))
	}
	sent, left, err := s.without(o.LeaveOut)
	if err != nil {
		return fail(exit.With(exit.Usage, err))
	}
	recipients, err := Maintainers(ctx, o.TreeDir, sent)
	if err != nil {
		return fail(err)
	}
	if o.Private {
		// An address without a name is shared by several people.
		recipients = slices.DeleteFunc(recipients, func(r Recipient) bool { return !r.To() || r.Name == "" })
	}
	mails, err := sent.writeMails(o)
	if err != nil {
		return fail(err)
	}

	command := []string{"git", "send-email"}
	for _, r := range o.Recipients {
		command = append(command, "--to="+r)
	}
	for _, r := range recipients {
		how := "--cc="
		if r.To() {
			how = "--to="
		}
		command = append(command, how+r.String())
	}
	return &Prepared{Dir: o.OutDir, Mails: mails, Recipients: recipients, LeftOut: left, Command: append(command, mails...)}, nil
}

// without returns the series without the patches of these subjects, which have to be the last
// ones, and the subjects of those that it had. The cover letter loses the shortlog and the
// diffstat then: they would tell of what is not sent.
func (s *Series) without(subjects []string) (sent *Series, left []string, err error) {
	first := slices.IndexFunc(s.Patches, func(p *Patch) bool { return slices.Contains(subjects, p.Subject) })
	if first < 0 {
		return s, nil, nil
	}
	for _, p := range s.Patches[first:] {
		if !slices.Contains(subjects, p.Subject) {
			return nil, nil, fmt.Errorf("%q is left out: expected that after all that is sent, found %q after it",
				s.Patches[first].Subject, p.Subject)
		}
		left = append(left, p.Subject)
	}

	sent = &Series{Patches: s.Patches[:first]}
	if s.Cover != nil {
		cover := *s.Cover
		if at := bytes.LastIndex(cover.Mail, []byte("\n"+placeholder.Name+" (")); at >= 0 {
			cover.Mail = cover.Mail[:at+1]
		}
		sent.Cover = &cover
	}
	return sent, left, nil
}

// writeMails makes the directory of the mails and returns their paths.
func (s *Series) writeMails(o PrepareOptions) ([]string, error) {
	beside := filepath.Dir(filepath.Clean(o.OutDir))
	err := os.MkdirAll(beside, 0o755)
	var tmp string
	if err == nil {
		tmp, err = os.MkdirTemp(beside, ".prepare-")
	}
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return nil, err
	}

	var mails []string
	for _, p := range s.mails() {
		mail, err := stamp(p, len(s.Patches), o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		name := sendName(p, o.Version)
		if err := os.WriteFile(filepath.Join(tmp, name), mail, 0o644); err != nil {
			return nil, err
		}
		mails = append(mails, filepath.Join(o.OutDir, name))
	}

	if o.Replace {
		if err := os.RemoveAll(o.OutDir); err != nil {
			return nil, err
		}
	}
	return mails, os.Rename(tmp, o.OutDir)
}

func (o *PrepareOptions) check(s *Series) error {
	name, email := o.Submitter.Name, o.Submitter.Email
	switch {
	case strings.TrimSpace(name) == "" || !strings.Contains(email, "@"):
		return fmt.Errorf("%q is not a name and an address; the kernel wants those of a person who can sign off", o.Submitter)
	case strings.ContainsAny(name+email, "<>\r\n\x00") || strings.ContainsAny(email, " \t"):
		return fmt.Errorf("%q: a name or address with characters that no mail can have there", o.Submitter)
	case strings.HasSuffix(email, ".invalid"):
		return fmt.Errorf("%s is not an address that can be answered", email)
	case o.Version < 0 || o.Version > 999 || strings.ContainsAny(o.Tag, "[]\r\n"):
		return fmt.Errorf("version %d, tag %q: not what stands before a subject", o.Version, o.Tag)
	case s.Cover == nil:
		return errors.New("the series has no cover letter (0000-cover-letter.patch)")
	}
	return o.checkOutDir()
}

// checkOutDir refuses a directory that exists, unless it may be replaced.
func (o *PrepareOptions) checkOutDir() error {
	files, err := os.ReadDir(o.OutDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !o.Replace:
		return fmt.Errorf("%s exists already; name another directory, or replace it with --replace", o.OutDir)
	}
	for _, f := range files {
		if !f.Type().IsRegular() || filepath.Ext(f.Name()) != ".patch" {
			return fmt.Errorf("%s is not replaced: it holds more than patches: %s", o.OutDir, f.Name())
		}
	}
	return nil
}

// versionName is the prefix of git format-patch -v2's files.
var versionName = regexp.MustCompile(`^v\d+-`)

func sendName(p *Patch, version int) string {
	name := versionName.ReplaceAllString(strings.ReplaceAll(p.Name, "#", "-"), "")
	if !fileNumber.MatchString(name) {
		name = fmt.Sprintf("%04d-%s", p.Number, strings.TrimSuffix(name, filepath.Ext(name))+".patch")
	}
	if version > 1 {
		name = fmt.Sprintf("v%d-%s", version, name)
	}
	return name
}

// stamp rewrites one mail of a series of total patches.
func stamp(p *Patch, total int, o PrepareOptions) ([]byte, error) {
	separator, fields, body, err := mailHeader(p.Mail)
	if err != nil {
		return nil, err
	}
	if enc := strings.ToLower(fields["content-transfer-encoding"]); enc != "" && enc != "8bit" && enc != "7bit" {
		return nil, fmt.Errorf("the mail is encoded as %s; make it with git format-patch", enc)
	}

	body = bytes.ReplaceAll(body, []byte(placeholder.String()), []byte(o.Submitter.String()))
	if p.Number == 0 {
		// The shortlog: "vcpulab (3):".
		body = bytes.ReplaceAll(body, []byte("\n"+placeholder.Name+" ("), []byte("\n"+o.Submitter.Name+" ("))
		body = addBase(body, o.Base)
	}

	var mail bytes.Buffer
	mail.Write(separator)
	fmt.Fprintf(&mail, "From: %s\n", o.Submitter.address())
	if d := fields["date"]; d != "" {
		fmt.Fprintf(&mail, "Date: %s\n", d)
	}
	// QEncoding leaves ASCII as it is.
	fmt.Fprintf(&mail, "Subject: %s %s\n", subjectPrefix(p, total, o), mime.QEncoding.Encode("UTF-8", p.Subject))
	if !isASCII(string(body)) {
		mail.WriteString("MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n")
	}
	mail.WriteByte('\n')
	mail.Write(body)

	if bytes.Contains(mail.Bytes(), []byte(placeholder.Email)) {
		return nil, fmt.Errorf("%s is still in it, at another place than From and Signed-off-by", placeholder.Email)
	}
	return mail.Bytes(), nil
}

// subjectPrefix is what stands in brackets, with numbers as git writes them.
func subjectPrefix(p *Patch, total int, o PrepareOptions) string {
	prefix := "[PATCH "
	if o.Tag != "" {
		prefix = "[" + o.Tag + " PATCH "
	}
	if o.Version > 1 {
		prefix += fmt.Sprintf("v%d ", o.Version)
	}
	return prefix + fmt.Sprintf("%0*d/%d]", len(fmt.Sprint(total)), p.Number, total)
}

// addBase puts what is said of the base before the signature, or at the end.
func addBase(body []byte, base string) []byte {
	if base == "" {
		return body
	}
	line := []byte("\n" + base)
	at := bytes.LastIndex(body, []byte("\n-- \n"))
	if at < 0 {
		return slices.Concat(bytes.TrimRight(body, "\n"), []byte("\n"), line)
	}
	return slices.Concat(body[:at+1], line, body[at+1:])
}

// mailName quotes or encodes a name for an address field.
func mailName(name string) string {
	if isASCII(name) && strings.ContainsAny(name, `()<>@,;:\".[]`) {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return mime.QEncoding.Encode("UTF-8", name)
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}
