// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUnexported(t *testing.T) {
	if missing := missingPrograms("gcc"); len(missing) > 0 {
		t.Skipf("NOT TESTED: this machine lacks %v", missing)
	}
	// What EXPORT_SYMBOL() leaves in an object.
	const export = `#define EXPORT(name) __asm__(".pushsection .export_symbol,\"a\"\n__export_symbol_" #name ":\n.asciz \"GPL\"\n.popsection")` + "\n"
	const owner = export + "int given; int kept; static int own; int *p = &own;\nEXPORT(given);\n"
	for name, c := range map[string]struct {
		user string
		want []Warning
	}{
		"exported":         {"extern int given; int *q = &given;", nil},
		"of the kernel":    {"extern int jiffies; int *q = &jiffies;", nil},
		"one's own":        {"int kept; int *q = &kept;", nil},
		"a static's name":  {"extern int own; int *q = &own;", nil},
		"left out":         {"extern int kept; int *q = &kept;", []Warning{{"arch/x/kvm/user.o", `error: "kept" is in arch/x/kvm/owner.o, which does not export it`}}},
		"left out, weakly": {"extern int kept __attribute__((weak)); int *q = &kept;", []Warning{{"arch/x/kvm/user.o", `error: "kept" is in arch/x/kvm/owner.o, which does not export it`}}},
	} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			dir := filepath.Join(out, "arch", "x", "kvm")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			write := func(name, text string) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for module, text := range map[string]string{"owner": owner, "user": c.user, "built-in": "extern int kept; int *r = &kept;"} {
				write(module+".c", text+"\n")
				if said, err := exec.Command("gcc", "-c", "-o", filepath.Join(dir, module+".o"), filepath.Join(dir, module+".c")).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, said)
				}
				if module != "built-in" {
					write(module+".mod", module+".o\n")
				}
			}
			got, err := unexported(out, []string{"arch/x/kvm", "virt/kvm"})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("expected (-), found (+):\n%s", d)
			}
			write("user.o", "no object")
			if _, err := unexported(out, []string{"arch/x/kvm"}); err == nil {
				t.Error("not an object: expected an error, found nothing")
			}
		})
	}
}
