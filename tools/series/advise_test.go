// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"errors"
	"strings"
	"testing"
)

// TestAdvice looks at what the error for a patch that does not apply says of other places.
func TestAdvice(t *testing.T) {
	const before = "int a;\n\nint f(int n)\n{\n\tint m = n;\n\n\tm++;\n\treturn m;\n}\n\nint b;\nint c;\nint d;\nint e;\n\nint g(void)\n{\n\treturn 0;\n}\n"
	after := strings.NewReplacer("m++;", "m += 2;", "return 0", "return 1").Replace(before)
	const name = "arch/s390/kvm/pci.c"
	mails := mailSeries(t, files{name: before}, files{name: after})

	half := strings.Replace(before, "m++;", "m += 2;", 1)
	other := strings.Replace(before, "\tint m = n;\n", "\tint m = n + 1;\n\tint unused;\n", 1)
	unlike := "long x;\n\nlong y;\n"
	for what, c := range map[string]struct {
		tree files
		want []string // lines of the error
		not  string
	}{
		"moved": {
			files{"arch/s390/kvm/s390/pci.c": before, "arch/x86/kvm/pci.c": before},
			[]string{"there is no such file in this tree", "there is arch/s390/kvm/s390/pci.c: if the file was moved there, change its name"}, "arch/x86",
		},
		"moved and changed": {
			files{"arch/s390/kvm/s390/pci.c": unlike},
			[]string{"there is arch/s390/kvm/s390/pci.c: if"}, "project",
		},
		"renamed": {
			files{name: unlike, "arch/s390/kvm/zpci.c": before, "arch/s390/kvm/vsie.c": other},
			[]string{"none of the lines that the patch expects is in the file", "there is arch/s390/kvm/zpci.c: if"}, "vsie.c",
		},
		"in many files": {
			files{name: unlike, "arch/s390/a.c": before, "arch/s390/b.c": before, "arch/s390/c.c": before, "arch/s390/d.c": before},
			[]string{"none of the lines"}, "moved",
		},
		"half there": {
			files{name: strings.Replace(half, "return 0", "return 7", 1)},
			[]string{"hunk 1: line 4: this hunk is already in this tree", "in this tree already: 1 of 2 hunks of the patch; has the tree another form of it?"}, "moved",
		},
		"another line": {
			files{name: other},
			[]string{"hunk 1: line 5: the lines that the patch expects are nowhere in the file; this comes nearest", "expected: \tint m = n;", "found:    \tint m = n + 1;"}, "already",
		},
		"a blank line less": {
			files{name: strings.Replace(before, "n;\n\n", "n;\n", 1)},
			[]string{"hunk 1: line 6: the lines", "expected: (blank line)", "found:    \tm++;"}, "",
		},
		"lines in front that look like it": {
			files{name: strings.Repeat("int f(int n)\n{\n\tint m = 1;\n", 3) + other},
			[]string{"hunk 1: line 14: the lines"}, "",
		},
		"another project": {
			files{"src/main.c": "int main;\n"},
			[]string{"none of the files that the series changes is in this tree"}, "moved",
		},
	} {
		t.Run(what, func(t *testing.T) {
			s, err := Load(mails)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Try(userTree(t, c.tree), Options{Relocate: true})
			if _, ok := errors.AsType[*ApplyError](err); !ok {
				t.Fatalf("expected an ApplyError, found %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("expected %q in:\n%v", want, err)
				}
			}
			if c.not != "" && strings.Contains(err.Error(), c.not) {
				t.Errorf("expected no %q in:\n%v", c.not, err)
			}
		})
	}
}
