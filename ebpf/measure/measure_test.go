// SPDX-License-Identifier: GPL-2.0-only

package measure

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImports: a program that reads samples links no BPF objects and no loader.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".", "../wire").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if strings.HasPrefix(dep, "github.com/cilium/ebpf") || strings.HasPrefix(dep, "vcpulab/") && dep != "vcpulab/ebpf/measure" && dep != "vcpulab/ebpf/wire" {
			t.Errorf("expected no loader, found %s", dep)
		}
	}
}

func TestVMString(t *testing.T) {
	if got := (VM{65, Sparse}).String(); got != "vcpus=65/ids=sparse" {
		t.Errorf("expected vcpus=65/ids=sparse, found %s", got)
	}
}
