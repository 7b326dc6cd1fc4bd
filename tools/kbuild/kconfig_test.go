// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"os"
	"strings"
	"testing"
)

// TestHint asks for explanations of settings that the Kconfig files of Linux
// 7.3.4 in testdata would drop.
func TestHint(t *testing.T) {
	tests := map[string]struct {
		symbol string
		final  string
		want   string
	}{
		"a dependency is off": {
			"KVM_SW_PROTECTED_VM", "CONFIG_KVM_X86=m\nCONFIG_X86_64=y\nCONFIG_VIRTUALIZATION=y\n",
			"arch/x86/kvm/Kconfig:83: depends on VIRTUALIZATION, and on EXPERT, and on KVM_X86 && X86_64, where VIRTUALIZATION is y, EXPERT is n, KVM_X86 is m, X86_64 is y",
		},
		"the menu around it is off": {
			"KVM_XEN", "CONFIG_KVM_X86=m\n",
			"arch/x86/kvm/Kconfig:208: depends on VIRTUALIZATION, and on KVM_X86, where VIRTUALIZATION is n, KVM_X86 is m",
		},
		"one of two is on": {
			"KVM_AMD", "CONFIG_VIRTUALIZATION=y\nCONFIG_CPU_SUP_HYGON=y\n",
			"arch/x86/kvm/Kconfig:146: depends on VIRTUALIZATION, and on KVM && (CPU_SUP_AMD || CPU_SUP_HYGON), where VIRTUALIZATION is y, KVM is n, CPU_SUP_AMD is n, CPU_SUP_HYGON is y",
		},
		"a negated one is on": {
			"PREEMPT_VOLUNTARY", "CONFIG_ARCH_HAS_PREEMPT_LAZY=y\n",
			"kernel/Kconfig.preempt:38: depends on !ARCH_HAS_PREEMPT_LAZY, and on !ARCH_NO_PREEMPT, and on !PREEMPT_RT, where ARCH_HAS_PREEMPT_LAZY is y, ARCH_NO_PREEMPT is n, PREEMPT_RT is n",
		},
		"cannot be set": {
			"PREEMPT_RCU", "CONFIG_PREEMPT_LAZY=y\n",
			"kernel/rcu/Kconfig:19: cannot be set: it follows from other symbols",
		},
		"no such symbol": {"PROC_SYSCTL", "", "this kernel has no symbol PROC_SYSCTL"},
		// arm64's file is not read.
		"of another architecture": {"PKVM_STACKTRACE", "", "this kernel has no symbol PKVM_STACKTRACE"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			final, err := ParseConfig("f", strings.NewReader(tc.final))
			if err != nil {
				t.Fatal(err)
			}
			got, err := hint(os.DirFS("testdata/kconfig"), "x86", tc.symbol, final)
			if err != nil || got != tc.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, tc.want)
			}
		})
	}
}

func FuzzKconfig(f *testing.F) {
	for _, name := range []string{"arch/x86/kvm/Kconfig", "kernel/Kconfig.preempt", "kernel/rcu/Kconfig"} {
		data, err := os.ReadFile("testdata/kconfig/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data), "KVM")
	}
	f.Add("config A\n\tbool \"a\" if B || (C\n\tdepends on !(", "A")
	final := Config{{Symbol: "CONFIG_A", Value: "y"}}
	f.Fuzz(func(t *testing.T, text, symbol string) {
		for _, hint := range scanKconfig("Kconfig", text, symbol, final) {
			if !strings.HasPrefix(hint, "Kconfig:") {
				t.Errorf("no explanation: %q", hint)
			}
		}
	})
}
