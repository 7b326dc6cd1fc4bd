// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
)

func TestParseConfig(t *testing.T) {
	tests := map[string]struct {
		text string
		want Config
		err  string
	}{
		"all forms": {
			text: "# a comment\n\nCONFIG_SMP=y\nCONFIG_KVM=m\nCONFIG_HZ=1000\nCONFIG_X=0xdead\n" +
				"CONFIG_N=-1\nCONFIG_S=\"a \\\"b\\\"\"\n# CONFIG_OFF is not set\nCONFIG_NO=n\n",
			want: Config{{"CONFIG_SMP", "y", "f:3"}, {"CONFIG_KVM", "m", "f:4"}, {"CONFIG_HZ", "1000", "f:5"},
				{"CONFIG_X", "0xdead", "f:6"}, {"CONFIG_N", "-1", "f:7"}, {"CONFIG_S", `"a \"b\""`, "f:8"},
				{"CONFIG_OFF", "n", "f:9"}, {"CONFIG_NO", "n", "f:10"}},
		},
		"last one wins, first place stays": {
			text: "CONFIG_A=y\nCONFIG_B=y\n# CONFIG_A is not set\n",
			want: Config{{"CONFIG_A", "n", "f:3"}, {"CONFIG_B", "y", "f:2"}},
		},
		"no prefix":       {text: "CONFIG_A=y\nSMP=y\n", err: `f:2: "SMP=y" is neither`},
		"no value":        {text: "CONFIG_A=\n", err: `f:1: CONFIG_A: the value "" is neither`},
		"unquoted string": {text: "CONFIG_A=foo\n", err: `f:1: CONFIG_A: the value "foo" is neither`},
		"a sentence":      {text: "turn on everything\n", err: `f:1: "turn on everything" is neither`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ParseConfig("f", strings.NewReader(tc.text))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || exit.Code(err) != exit.Usage {
					t.Fatalf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReadFragments(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	a := write("a", "CONFIG_HZ_1000=y\nCONFIG_SMP=y\n")
	b := write("b", "CONFIG_HZ_100=y\nCONFIG_HZ_1000=n\n")
	c, err := ReadFragments(a, b)
	if err != nil {
		t.Fatal(err)
	}
	want := "# CONFIG_HZ_1000 is not set\nCONFIG_SMP=y\nCONFIG_HZ_100=y\n"
	if got := c.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if _, err := ReadFragments(filepath.Join(dir, "none")); exit.Code(err) != exit.Usage {
		t.Errorf("a missing fragment: %v", err)
	}
}

// TestFragments reads the fragments that the project builds with.
func TestFragments(t *testing.T) {
	for _, name := range []string{"x86_64", "arm64"} {
		arch, err := arch.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ReadFragments(arch.Fragments("../../ci/config")...)
		if err != nil {
			t.Fatal(err)
		}
		for _, symbol := range []string{"CONFIG_SMP", "CONFIG_DEBUG_INFO_BTF", "CONFIG_PREEMPT_RCU", "CONFIG_MEMCG"} {
			if c.Value(symbol) != "y" {
				t.Errorf("%s: %s is %s", name, symbol, c.Value(symbol))
			}
		}
	}
}

// TestDebugFragment checks that the fragment for debug kernels turns on what finds
// faults and off what makes them slow to build.
func TestDebugFragment(t *testing.T) {
	arch, err := arch.Find("x86_64")
	if err != nil {
		t.Fatal(err)
	}
	c, err := ReadFragments(append(arch.Fragments("../../ci/config"), "../../ci/config/debug.config")...)
	if err != nil {
		t.Fatal(err)
	}
	for symbol, want := range map[string]string{
		"CONFIG_KASAN": "y", "CONFIG_PROVE_RCU": "y", "CONFIG_DEBUG_ATOMIC_SLEEP": "y", "CONFIG_DEBUG_KMEMLEAK": "y",
		"CONFIG_FAILSLAB": "y", "CONFIG_FAIL_PAGE_ALLOC": "y", "CONFIG_DEBUG_INFO_BTF": "n", "CONFIG_KVM_AMD": "m",
	} {
		if got := c.Value(symbol); got != want {
			t.Errorf("%s: expected %s, found %s", symbol, want, got)
		}
	}
}

func TestDropped(t *testing.T) {
	parse := func(text string) Config {
		c, err := ParseConfig("f", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	asked := parse("CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n# CONFIG_D is not set\nCONFIG_N=4096\n")
	final := parse("CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\nCONFIG_N=1024\n")
	kconfig := os.DirFS("testdata/kconfig")
	_, err := asked.checkKept(final, kconfig, "x86", []string{"g"})
	if exit.Code(err) != exit.BuildFailed || !strings.Contains(err.Error(), "2 of the settings were not kept by Kconfig:\n  f:2: CONFIG_B=m became y (this kernel has no symbol B)\n  f:5: CONFIG_N=4096 became 1024 (") {
		t.Errorf("%d %v", exit.Code(err), err)
	}
	if _, err := final.checkKept(final, nil, "", nil); err != nil {
		t.Error(err)
	}

	// What is for another kernel may set what this one cannot have, KVM apart.
	other, err := ParseConfig("g", strings.NewReader("CONFIG_B=m\nCONFIG_KVM_XEN=y\nCONFIG_A=y\n"))
	if err != nil {
		t.Fatal(err)
	}
	left, err := other.checkKept(final, kconfig, "x86", []string{"e", "g"})
	if got := left.String(); err != nil || got != "CONFIG_B=y\n# CONFIG_KVM_XEN is not set\n" {
		t.Errorf("for another kernel: found %q, %v", got, err)
	}
	if left, err = append(other, asked...).checkKept(final, kconfig, "x86", []string{"g"}); err == nil || left != nil || !strings.Contains(err.Error(), "2 of the settings") {
		t.Errorf("besides what is for another kernel: found %v, %v", left, err)
	}
	other[1].Symbol = "CONFIG_KVM"
	if left, err = other.checkKept(final, kconfig, "x86", []string{"g"}); err == nil || !strings.Contains(err.Error(), "CONFIG_KVM=y became n") {
		t.Errorf("KVM itself: found %v, %v", left, err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_S=\"x\"\n")
	f.Add("CONFIG_A=\"\\\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConfig("f", strings.NewReader(text))
		if err != nil {
			return
		}
		// What is written reads back the same.
		again, err := ParseConfig("f", strings.NewReader(c.String()))
		if err != nil {
			t.Fatal(err)
		}
		if again.String() != c.String() {
			t.Errorf("%q became %q", c.String(), again.String())
		}
	})
}
