// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// oneFile is a diff that makes a file, or with mode 120000 a link.
func oneFile(name, mode, text string) string {
	return "diff --git a/" + name + " b/" + name + "\nnew file mode " + mode + "\n--- /dev/null\n+++ b/" + name + "\n@@ -0,0 +1 @@\n+" + text + "\n"
}

func TestLinkLeadsOutThroughAnother(t *testing.T) {
	const noEOL = "\n\\ No newline at end of file"
	first := oneFile("a/b/c/ln", "120000", "../../.."+noEOL)
	second := oneFile("ln2", "120000", "a/b/c/ln/../x"+noEOL)
	tests := map[string]struct {
		diff string
		err  error
	}{
		"escapes":                       {first + second, ErrUnsafePath},
		"escapes, in the other order":   {second + first, ErrUnsafePath},
		"stays in the tree":             {first + oneFile("ln2", "120000", "a/b/c/ln/f"+noEOL), nil},
		"points to itself":              {oneFile("ln", "120000", "ln"+noEOL), nil},
		"escapes through a link before": {oneFile("ln", "120000", "up/x"+noEOL), ErrUnsafePath},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base := userTree(t, files{"f": "a\n"})
			if err := os.Symlink("..", filepath.Join(base.Dir, "up")); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			files{"1.patch": mailText("[PATCH] KVM: Link", test.diff)}.write(t, dir)
			s, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = s.Try(base, Options{}); !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
		})
	}
}

func TestLoadByNumber(t *testing.T) {
	dir := t.TempDir()
	files{"10-b.patch": mailText("[PATCH] KVM: Second", smallDiff), "9-a.patch": mailText("[PATCH] KVM: First", smallDiff)}.write(t, dir)
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Patches[0].Name != "9-a.patch" {
		t.Errorf("the first is %s", s.Patches[0].Name)
	}
}

func TestLoadFIFO(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "0001-a.patch"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v", err)
	}
}

func TestLoadTooLarge(t *testing.T) {
	dir := t.TempDir()
	files{"1.patch": mailText("[PATCH] KVM: One", smallDiff+strings.Repeat("x\n", MaxMailFile/2))}.write(t, dir)
	if _, err := Load(dir); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a patch: %v", err)
	}
	some := files{}
	for _, name := range []string{"1", "2", "3", "4", "5"} {
		some[name+".patch"] = mailText("[PATCH] KVM: One", smallDiff+strings.Repeat(strings.Repeat("x", 1000)+"\n", MaxMailFile/1001-10))
	}
	dir = t.TempDir()
	some.write(t, dir)
	if _, err := Load(dir); !errors.Is(err, ErrTooLarge) {
		t.Errorf("the sum of patches: %v", err)
	}
}

// TestHeadingNamesAnotherFunction: the only place where the lines stand is in
// another function than the hunk's heading names.
func TestHeadingNamesAnotherFunction(t *testing.T) {
	function := func(name string) string {
		return "int " + name + "(int x)\n{\n\tint i;\n\n\tfor (i = 0; i < x; i++)\n\t\twork_" + name + "(i);\n\n\treturn 0;\n}\n\n"
	}
	base := userTree(t, files{"f.c": function("alpha") + function("beta") + function("delta")})
	dir := t.TempDir()
	files{"1.patch": mailText("[PATCH] KVM: One", "diff --git a/f.c b/f.c\n--- a/f.c\n+++ b/f.c\n@@ -23,5 +23,5 @@ int delta(int x)\n \tint i;\n \n \tfor (i = 0; i < x; i++)\n-\t\twork_beta(i);\n+\t\twork_B(i);\n \n")}.write(t, dir)
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Try(base, Options{Relocate: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Shifts) != 1 || r.Shifts[0].Named != "int delta(int x)" || r.Shifts[0].In != "int beta(int x)" {
		t.Errorf("shifts %+v", r.Shifts)
	}
}

// TestEscapeSequences: those of a subject are shown, not sent to the terminal.
func TestEscapeSequences(t *testing.T) {
	dir := t.TempDir()
	files{"1.patch": mailText("[PATCH] KVM: \x1b[2JOne\u009b1m", oneFile("f", "100644", "a"))}.write(t, dir)
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, base := range map[string]files{"report": {}, "error": {"f": "\x1b]0;a\a\n"}} {
		r, err := s.Try(userTree(t, base), Options{})
		var text strings.Builder
		if name == "error" {
			text.WriteString(err.Error())
		} else if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), `\x1b[2JOne\u009b1m`) {
			t.Errorf("%s: %v, %q", name, err, text.String())
		}
		if strings.ContainsAny(text.String(), "\x1b\a\u009b") {
			t.Errorf("%s sends escape sequences: %q", name, text.String())
		}
	}
}
