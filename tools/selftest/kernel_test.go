// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"testing"

	"vcpulab/tools/arch"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/vm"
)

// TestNewKernel makes subjects of a kernel with KVM as modules and of one
// with KVM built in, which has no directory of modules.
func TestNewKernel(t *testing.T) {
	tests := &kbuild.Selftests{Dir: "/tests", Names: []string{"arm64/psci_test"}}
	for name, c := range map[string]struct {
		image   string
		modules []string // of the kernel
		module  string   // that is loaded
		dir     string   // of what it depends on
	}{
		"x86_64": {"vmlinux", []string{"modules/kvm.ko", "modules/kvm-amd.ko"}, "/kernel/modules/kvm-amd.ko", "/kernel/modules"},
		"arm64":  {"Image", nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			arch, err := arch.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			k := &kbuild.Kernel{Dir: "/kernel", Arch: arch, Image: c.image, Modules: c.modules}
			s, err := NewKernel("base", k, tests, vm.TCG)
			if err != nil {
				t.Fatal(err)
			}
			if s.Arch.Name != name || s.Image != "/kernel/"+c.image || s.ModuleDir != c.dir {
				t.Errorf("expected %s, /kernel/%s and %q, found %s, %s and %q", name, c.image, c.dir, s.Arch.Name, s.Image, s.ModuleDir)
			}
			module := ""
			if len(s.Modules) > 0 {
				module = s.Modules[0].Host
			}
			if len(s.Modules) > 1 || module != c.module {
				t.Errorf("expected module %q, found %v", c.module, s.Modules)
			}
			if len(s.Tests) != 1 || s.Tests[0].Path != "/tests/arm64/psci_test" {
				t.Errorf("tests: %v", s.Tests)
			}
		})
	}
}
