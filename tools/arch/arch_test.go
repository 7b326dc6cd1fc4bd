// SPDX-License-Identifier: GPL-2.0-only

package arch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	for name, want := range map[string]string{
		"arm64": "arm64", "aarch64": "arm64", "amd64": "x86_64", "riscv": "riscv64", "s390": "s390x", "powerpc": "ppc64le", "loong64": "loongarch64",
	} {
		if a, err := Find(name); err != nil || a.Name != want {
			t.Errorf("%s: expected %s, found %q, %v", name, want, a.Name, err)
		}
	}
	for _, name := range []string{"", "vax", All} {
		if a, err := Find(name); err == nil || !strings.Contains(err.Error(), "x86_64, arm64") {
			t.Errorf("%q: expected an error with the names, found %q, %v", name, a.Name, err)
		}
	}
}

func TestFindAmong(t *testing.T) {
	for name, want := range map[string]struct{ bootable, tested string }{
		All:       {"x86_64, arm64, riscv64, ppc64le", "x86_64, arm64, riscv64"},
		"aarch64": {"arm64", "arm64"},
		"ppc64le": {"ppc64le", ""},
		"s390x":   {},
	} {
		for _, tt := range []struct {
			among []Arch
			want  string
		}{{Bootable(), want.bootable}, {Tested(), want.tested}} {
			found, err := FindAmong(tt.among, name)
			if Names(found) != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("%s: expected %q, found %q, %v", name, tt.want, Names(found), err)
			}
			if err != nil && !strings.Contains(err.Error(), "architecture "+name+" cannot be used here: expected one of x86_64, ") {
				t.Errorf("%s: expected what can be used, found %v", name, err)
			}
		}
	}
}

func TestHost(t *testing.T) {
	a, err := Host()
	if err != nil || !a.IsHost() || a.CrossPrefix() != "" {
		t.Errorf("expected this machine's architecture, found %v, %v", a, err)
	}
	for _, other := range Arches() {
		if other.Name != a.Name && (other.IsHost() || other.CrossPrefix() == "") {
			t.Errorf("%s: expected a cross compiler", other.Name)
		}
	}
}

// TestTable checks that entries are complete, and that the files that belong to
// them exist.
func TestTable(t *testing.T) {
	names := map[string]string{}
	for _, a := range table {
		for _, name := range []string{a.Name, a.Uname, a.GoArch, a.Make} {
			if name == "" || names[name] != "" && names[name] != a.Name {
				t.Errorf("%s: name %q is missing or %s's", a.Name, name, names[name])
			}
			names[name] = a.Name
		}
		if a.Debian == "" || a.Source == "" || a.Cross == "" || a.ImagePath == "" || a.ImageTarget == "" {
			t.Errorf("%s: incomplete: %+v", a.Name, a)
		}
		files := []string{"../../ci/matrix/" + a.Name + ".config"}
		if a.Boots() {
			files = append(files, a.Fragments("../../ci/config")...)
			if q := a.QEMU; q.Package == "" || q.Console == "" || q.TCG == (Hardware{}) || q.KVM == (Hardware{}) || q.PC == "" {
				t.Errorf("%s: incomplete: %+v", a.Name, q)
			}
			if _, err := regexp.Compile(a.PC); err != nil || a.PC == "" {
				t.Errorf("%s: program counter %q: %v", a.Name, a.PC, err)
			}
		}
		for _, file := range files {
			if _, err := os.Stat(filepath.FromSlash(file)); err != nil {
				t.Errorf("%s: %v", a.Name, err)
			}
		}
	}
}

func TestHasTest(t *testing.T) {
	for test, want := range map[string]bool{"steal_time": true, "x86/smm_test": true, "x86_64/smm_test": true, "arm64/psci_test": false, "aarch64/psci_test": false} {
		if X86_64().HasTest(test) != want {
			t.Errorf("%s: expected %v", test, want)
		}
	}
}

func TestJSON(t *testing.T) {
	data, err := json.Marshal(X86_64())
	if err != nil || string(data) != `{"name":"x86_64"}` {
		t.Fatalf("expected the name alone, found %s, %v", data, err)
	}
	var a Arch
	if err := json.Unmarshal(data, &a); err != nil || !reflect.DeepEqual(a, X86_64()) {
		t.Errorf("expected x86_64, found %v, %v", a, err)
	}
	if err := json.Unmarshal([]byte(`{"name":"vax"}`), &a); err == nil {
		t.Error("expected an error")
	}
}
