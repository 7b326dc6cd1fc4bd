// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCombineParams makes all combinations of values.
func TestCombineParams(t *testing.T) {
	for name, tt := range map[string]struct {
		texts []string
		want  []string
	}{
		"none":       {nil, []string{""}},
		"one":        {[]string{"kvm_amd.npt=0"}, []string{"kvm_amd.npt=0"}},
		"two values": {[]string{"kvm-arm.mode=nvhe,protected"}, []string{"kvm-arm.mode=nvhe", "kvm-arm.mode=protected"}},
		"two of two": {[]string{"kvm_amd.npt=0,1", "kvm.tdp_mmu=0,1"}, []string{
			"kvm_amd.npt=0 kvm.tdp_mmu=0", "kvm_amd.npt=0 kvm.tdp_mmu=1", "kvm_amd.npt=1 kvm.tdp_mmu=0", "kvm_amd.npt=1 kvm.tdp_mmu=1",
		}},
	} {
		got, err := CombineParams(tt.texts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var texts []string
		for _, params := range got {
			texts = append(texts, JoinParams(params))
		}
		if diff := cmp.Diff(tt.want, texts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	for _, bad := range []string{"", "npt=0", "kvm_amd.npt", "kvm_amd.npt=", "kvm_amd.npt=0,", "kvm_amd.npt=0 init=/bin/sh", `kvm.a="b`, ".npt=0", "kvm.=0", "kvm.a.b=0"} {
		if _, err := CombineParams([]string{bad}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("parameter %q: expected module.name=value", bad)) {
			t.Errorf("%q: expected an error that says what a parameter is, found %v", bad, err)
		}
	}
	many := []string{"a.a=0,1,2,3", "a.b=0,1,2,3", "a.c=0,1,2,3,4"}
	if _, err := CombineParams(many); err == nil || !strings.Contains(err.Error(), "64 combinations of them at most, found 80") {
		t.Errorf("expected too many to be refused, found %v", err)
	}
}

// TestSetParams: each goes to its module, and none is ignored.
func TestSetParams(t *testing.T) {
	modules := []Module{{Host: "/a/kvm.ko"}, {Host: "/a/kvm-amd.ko", Args: "avic=0"}}
	params := []Param{{"kvm_amd", "npt", "0"}, {"kvm", "tdp_mmu", "1"}, {"kvm-amd", "nested", "0"}}
	line, err := setParams(modules, params)
	if err != nil || line != nil {
		t.Errorf("expected nothing for the kernel, found %q, %v", line, err)
	}
	if diff := cmp.Diff([]Module{{"/a/kvm.ko", "tdp_mmu=1"}, {"/a/kvm-amd.ko", "avic=0 npt=0 nested=0"}}, modules); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}

	if _, err := setParams(modules, []Param{{"kvm_intel", "ept", "0"}}); err == nil || !strings.Contains(err.Error(), "kvm_intel.ept=0: the guest loads no module of that name: expected one of kvm, kvm_amd") {
		t.Errorf("expected a module that is not loaded to be told, found %v", err)
	}
	if line, err := setParams(nil, []Param{{"kvm-arm", "mode", "nvhe"}}); err != nil || len(line) != 1 || line[0] != "kvm-arm.mode=nvhe" {
		t.Errorf("expected it on the command line, found %q, %v", line, err)
	}
}
