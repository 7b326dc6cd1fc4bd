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
			"arch/x86/kvm/Kconfig:83: depends on EXPERT, where EXPERT is n",
		},
		"the menu around it is off": {
			"KVM_XEN", "CONFIG_KVM_X86=m\n",
			"arch/x86/kvm/Kconfig:208: depends on VIRTUALIZATION, where VIRTUALIZATION is n",
		},
		"one of two is on": {
			"KVM_AMD", "CONFIG_VIRTUALIZATION=y\nCONFIG_CPU_SUP_HYGON=y\n",
			"arch/x86/kvm/Kconfig:146: depends on KVM && (CPU_SUP_AMD || CPU_SUP_HYGON), where KVM is n, CPU_SUP_AMD is n, CPU_SUP_HYGON is y",
		},
		"a negated one is on": {
			"PREEMPT_VOLUNTARY", "CONFIG_ARCH_HAS_PREEMPT_LAZY=y\n",
			"kernel/Kconfig.preempt:38: depends on !ARCH_HAS_PREEMPT_LAZY, where ARCH_HAS_PREEMPT_LAZY is y",
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
			defs, err := findSymbol(os.DirFS("testdata/kconfig"), "x86", tc.symbol)
			if err != nil {
				t.Fatal(err)
			}
			final, err := ParseConfig("f", strings.NewReader(tc.final))
			if err != nil {
				t.Fatal(err)
			}
			if got := hint(tc.symbol, defs, final); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestBlockers(t *testing.T) {
	final, err := ParseConfig("f", strings.NewReader("CONFIG_A=y\nCONFIG_M=m\nCONFIG_N=7\n"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"A":                    "",
		"M":                    "",
		"X":                    "X is n",
		"!X":                   "",
		"!A":                   "A is y",
		"A && X":               "A is y, X is n",
		"X || A":               "",
		"X || Y":               "X is n, Y is n",
		"(X && A) || (A && Y)": "X is n, A is y, Y is n",
		"A && (X || !M)":       "A is y, X is n, M is m",
		"!(A && X)":            "",
		"!(A || X)":            "A is y, X is n",
		"M=y":                  "M is m",
		"M!=n && A":            "",
		"!(M=m && X=n)":        "M is m, X is n",
		"$(cc-option,-mfoo)":   "",
		"A && n":               "A is y",
		"X && (":               "",
		"64BIT || X < 3":       "",
		"":                     "",
	}
	for expr, want := range tests {
		t.Run(expr, func(t *testing.T) {
			if got := strings.Join(blockers(expr, final), ", "); got != want {
				t.Errorf("got %q, want %q", got, want)
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
		defs, err := scanKconfig("Kconfig", strings.NewReader(text), symbol)
		if err != nil {
			return
		}
		if hint(symbol, defs, final) == "" {
			t.Error("no explanation")
		}
	})
}
