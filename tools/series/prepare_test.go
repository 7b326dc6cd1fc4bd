// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/exit"
)

func compareJSON(t *testing.T, file string, v any) {
	t.Helper()
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, file, string(data)+"\n")
}

func TestStamp(t *testing.T) {
	s := loadTest(t)
	o := PrepareOptions{
		Submitter: Person{Name: "Jörg Müller", Email: "joerg@example.org"},
		Version:   2, Tag: "RFC", Base: "This series applies to Linux 7.3.4.\n",
	}
	for _, p := range s.mails() {
		mail, err := stamp(p, len(s.Patches), o)
		if err != nil {
			t.Fatal(err)
		}
		compareGolden(t, "testdata/series/stamped/"+sendName(p, o.Version), string(mail))
	}
	// What is written can be read, and changes the same.
	sent, err := Load("testdata/series/stamped")
	if err != nil {
		t.Fatal(err)
	}
	if sent.Version != 2 || sent.Cover == nil {
		t.Errorf("version %d, cover letter %v", sent.Version, sent.Cover)
	}
	for _, f := range sent.Check(o.Submitter) {
		t.Error(f)
	}
	base := testBase(t)
	a, err := s.Try(base, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := sent.Try(base, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range a.Patches {
		if diff := cmp.Diff(a.Patches[i].Files, b.Patches[i].Files); diff != "" {
			t.Errorf("patch %d changes something else when sent:\n%s", i+1, diff)
		}
	}
}

func TestPrepare(t *testing.T) {
	base, s := pinned(t), loadTest(t)
	out := filepath.Join(t.TempDir(), "send")
	o := PrepareOptions{Submitter: Person{Name: "A. Submitter", Email: "a@example.org"}, TreeDir: base.Dir, OutDir: out}
	p, err := s.Prepare(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(out + "/*")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Mails, names); diff != "" || len(names) != 4 {
		t.Errorf("mails (-said +there):\n%s", diff)
	}
	if !slices.ContainsFunc(p.Recipients, func(r Recipient) bool { return r.Address == "kvm@vger.kernel.org" && !r.To() }) ||
		!slices.ContainsFunc(p.Recipients, Recipient.To) {
		t.Errorf("recipients: %v", p.Recipients)
	}
	if !slices.Contains(p.Command, "--cc=kvm@vger.kernel.org") || p.Command[len(p.Command)-1] != p.Mails[3] {
		t.Errorf("command: %q", p.Command)
	}
	if !strings.Contains(readFile(t, p.Mails[1]), "\nFrom: \"A. Submitter\" <a@example.org>\n") {
		t.Error("the name is not quoted")
	}
	// A second time would overwrite.
	if _, err := s.Prepare(t.Context(), o); exit.Code(err) != exit.Usage {
		t.Errorf("an existing directory: %v", err)
	}
	o.OutDir = "/proc/vcpulab/send"
	if _, err := s.Prepare(t.Context(), o); exit.Code(err) != exit.Usage {
		t.Errorf("a directory that cannot be made: %v", err)
	}
}

func TestPrepareRefuses(t *testing.T) {
	good := PrepareOptions{Submitter: Person{Name: "A", Email: "a@example.org"}, TreeDir: t.TempDir(), OutDir: filepath.Join(t.TempDir(), "send")}
	tests := map[string]func(o *PrepareOptions){
		"no name":         func(o *PrepareOptions) { o.Submitter.Name = " " },
		"no address":      func(o *PrepareOptions) { o.Submitter.Email = "a" },
		"placeholder":     func(o *PrepareOptions) { o.Submitter = Placeholder() },
		"a header inside": func(o *PrepareOptions) { o.Submitter.Name = "A\nBcc: b@example.org" },
		"angle brackets":  func(o *PrepareOptions) { o.Submitter.Email = "a@b> <c@d" },
		"version":         func(o *PrepareOptions) { o.Version = -1 },
		"tag":             func(o *PrepareOptions) { o.Tag = "] x [" },
	}
	for name, change := range tests {
		o := good
		change(&o)
		if _, err := loadTest(t).Prepare(t.Context(), o); exit.Code(err) != exit.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := loadTest(t).Prepare(t.Context(), good); err == nil || !strings.Contains(err.Error(), "not a kernel tree") {
		t.Errorf("no tree: %v", err)
	}
	if _, err := os.Stat(good.OutDir); err == nil {
		t.Error("something was written")
	}
	p := *loadTest(t).Patches[0]
	p.Mail = []byte(strings.Replace(string(p.Mail), "They do", "series@vcpulab.invalid", 1))
	if _, err := stamp(&p, 3, good); err == nil || !strings.Contains(err.Error(), "is still in it") {
		t.Errorf("the placeholder elsewhere: %v", err)
	}
}

func TestParseMaintainers(t *testing.T) {
	list, err := parseMaintainers(readFile(t, "testdata/maintainers/output.txt"))
	if err != nil {
		t.Fatal(err)
	}
	compareJSON(t, "testdata/maintainers/output.json", list)
	for _, bad := range []string{"nobody", "A <a@b>", "a@b ()", "<> (maintainer:X)"} {
		if list, err := parseMaintainers(bad); err == nil {
			t.Errorf("%q gives %v", bad, list)
		}
	}
}

func TestMailName(t *testing.T) {
	for name, want := range map[string]string{
		"A B":        "A B",
		"A. B":       `"A. B"`,
		`A "B" C`:    `"A \"B\" C"`,
		"Jörg":       "=?UTF-8?q?J=C3=B6rg?=",
		"A (B) C, D": `"A (B) C, D"`,
	} {
		if got := mailName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
		from, _ := decodeWords(mailName(name) + " <a@b>")
		m, err := parseMail([]byte("From: " + mailName(name) + " <a@b>\nSubject: x\n\n"))
		if err != nil || m.Author.Name != name {
			t.Errorf("%q comes back as %+v (%q): %v", name, m, from, err)
		}
	}
}
