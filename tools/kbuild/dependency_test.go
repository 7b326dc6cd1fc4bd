// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDependenciesAdd(t *testing.T) {
	// As fixdep writes it, also for a source that is reached through another
	// directory.
	const cmd = `savedcmd_arch/s390/kvm/priv.o := gcc -I../include -include ../include/linux/kconfig.h -c -o arch/s390/kvm/priv.o ../arch/s390/kvm/priv.c

source_arch/s390/kvm/priv.o := ../arch/s390/kvm/../../../virt/kvm/priv.c

deps_arch/s390/kvm/priv.o := \
    $(wildcard include/config/KVM) \
  ../include/linux/kvm_host.h \
  include/generated/autoconf.h \
  ../../elsewhere.h \
  /usr/lib/gcc/x86_64-linux-gnu/12/include/stdarg.h \
`
	d := &dependencies{}
	d.add([]byte(cmd))
	slices.Sort(d.Files)
	want := []string{"arch/s390/kvm/priv.c", "include/linux/kconfig.h", "include/linux/kvm_host.h", "virt/kvm/priv.c"}
	if diff := cmp.Diff(want, slices.Compact(d.Files)); diff != "" {
		t.Error(diff)
	}
}

func TestDependenciesMatter(t *testing.T) {
	d := &dependencies{Files: []string{"include/linux/kvm_host.h", "virt/kvm/kvm_main.c"}}
	for name, c := range map[string]struct {
		file        string
		stays, want bool
	}{
		"source":               {"virt/kvm/kvm_main.c", true, true},
		"header":               {"include/linux/kvm_host.h", true, true},
		"of another machine":   {"arch/s390/kvm/kvm-s390.c", true, false},
		"new or gone":          {"arch/s390/kvm/kvm-s390.h", false, true},
		"makefile":             {"arch/s390/kvm/Makefile", true, true},
		"table of system call": {"arch/s390/kernel/syscalls/syscall.tbl", true, true},
		"defconfig":            {"arch/s390/configs/defconfig", true, true},
		"documentation":        {"Documentation/virt/kvm/api.rst", true, false},
		"new selftest":         {"tools/testing/selftests/kvm/new.c", false, false},
		"selftests' makefile":  {"tools/testing/selftests/kvm/Makefile.kvm", true, false},
		"build tool":           {"tools/objtool/check.c", true, true},
		"program of the build": {"scripts/mod/modpost.c", true, true},
	} {
		if got := d.matters(c.file, c.stays); got != c.want {
			t.Errorf("%s: %s: expected %t, found %t", name, c.file, c.want, got)
		}
	}
}
