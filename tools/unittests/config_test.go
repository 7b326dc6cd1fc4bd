// SPDX-License-Identifier: GPL-2.0-only

package unittests

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"vcpulab/tools/selftest"
)

func TestRead(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want Entry
	}{
		"least":       {"[a]\nfile = a.flat\n", Entry{Name: "a", File: "a.flat", CPUs: 1, Timeout: 90 * time.Second}},
		"all of it":   {"# it\n[a]\nfile=a.flat\nsmp = 4\ntest_args = 'one two'\nextra_params = -cpu max -append \"x y\"\ntimeout = 30s\narch = x86_64\naccel = kvm\n", Entry{Name: "a", File: "a.flat", CPUs: 4, Args: "one two", Params: []string{"-cpu", "max", "-append", "x y"}, Timeout: 30 * time.Second}},
		"block":       {"[a]\nfile = a.flat\nqemu_params = \"\"\"-cpu max\n-m 1G\"\"\"\nsmp = 2\n", Entry{Name: "a", File: "a.flat", CPUs: 2, Params: []string{"-cpu", "max", "-m", "1G"}, Timeout: 90 * time.Second}},
		"one line":    {"[a]\nfile = a.flat\nqemu_params = \"\"\"-m 1G\"\"\"\n", Entry{Name: "a", File: "a.flat", CPUs: 1, Params: []string{"-m", "1G"}, Timeout: 90 * time.Second}},
		"no time":     {"[a]\nfile = a.flat\ntimeout = 0\n", Entry{Name: "a", File: "a.flat", CPUs: 1, Timeout: 90 * time.Second}},
		"minutes":     {"[a]\nfile = a.flat\ntimeout = 2m\n", Entry{Name: "a", File: "a.flat", CPUs: 1, Timeout: 2 * time.Minute}},
		"for ever":    {"[a]\nfile = a.flat\ntimeout = 999999999d\n", Entry{Name: "a", File: "a.flat", CPUs: 1, Timeout: maxTimeout}},
		"unknown":     {"[a]\nfile = a.flat\nmachine = q35\n", Entry{Name: "a", File: "a.flat", CPUs: 1, Timeout: 90 * time.Second, Skip: "unknown setting: machine"}},
		"another":     {"[a]\nfile = a.flat\narch = i386\naccel = tcg\n", Entry{Name: "a", File: "a.flat", CPUs: 1, Timeout: 90 * time.Second, Skip: "it is for i386"}},
		"a shell":     {"[a]\nfile = a.flat\nextra_params = -m `echo 1`\n", Entry{Name: "a", File: "a.flat", CPUs: 1, Params: []string{"-m", "`echo", "1`"}, Timeout: 90 * time.Second, Skip: "its parameters need a shell: -m `echo 1`"}},
		"MAX_SMP":     {"[a]\nfile = a.flat\nsmp = $MAX_SMP\n", Entry{Name: "a", File: "a.flat", Timeout: 90 * time.Second, Skip: "unsupported number of processors: $MAX_SMP"}},
		"a condition": {"[a]\nfile = a.flat\ncheck = /sys/x=Y\n", Entry{Name: "a", File: "a.flat", CPUs: 1, Timeout: 90 * time.Second, Skip: "it needs /sys/x=Y"}},
		"migration":   {"[a]\nfile = a.flat\ngroups = pmu migration\n", Entry{Name: "a", File: "a.flat", CPUs: 1, Timeout: 90 * time.Second, Skip: "its group needs another runner: migration"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(strings.NewReader(test.text))
			if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], test.want) {
				t.Errorf("expected %+v, found %+v, %v", test.want, got, err)
			}
		})
	}
}

func TestReadBad(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"twice":      {"[a]\nfile = a.flat\n[a]\n", `line 3: duplicate section "a"`},
		"no file":    {"[a]\nsmp = 2\n", "a has no file"},
		"elsewhere":  {"[a]\nfile = ../a.flat\n", `line 2: expected the name of a program, found "../a.flat"`},
		"open quote": {"[a]\nfile = a.flat\ntest_args = 'a\n", "line 3: test_args: "},
		"no seconds": {"[a]\nfile = a.flat\ntimeout = soon\n", `line 3: timeout: expected a number and s, m, h or d, found "soon"`},
		"section":    {"[a]\nfile = a.flat\n[b c]\nfile = b.flat\n", `line 3: invalid section "[b c]"`},
		"open block": {"[a]\nfile = a.flat\nextra_params = \"\"\"-m\n[b]\n", `line 3: no closing """`},
		"long":       {"[a]\nfile = a.flat\n" + strings.Repeat("a", 2*maxLine), "line 3: "},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Read(strings.NewReader(test.text)); err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("expected %q, found %v", test.want, err)
			}
		})
	}
}

// TestStatus: isa-debug-exit ends QEMU with an odd status, and so does QEMU itself.
func TestStatus(t *testing.T) {
	const cannot = "qemu-system-x86_64: unable to find CPU model 'nosuch'\n"
	for name, test := range map[string]struct {
		code   int
		output string
		want   int
	}{
		"good":              {1, "PASS: all\n", 0},
		"good, a warning":   {1, "qemu-system-x86_64: Warning: host doesn't support it\n", 0},
		"it has failed":     {3, "FAIL: one\n", 1},
		"all skipped":       {155, "SKIP: all\n", selftest.StatusSkip},
		"QEMU has failed":   {1, cannot, 1},
		"QEMU has ended":    {0, "", 1},
		"as if skipped":     {9, "", 1},
		"QEMU, as if so":    {4, "", 1},
		"as if expected to": {5, "TAP version 13\n1..1\n", 1},
		"the largest":       {255, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := status(test.code, test.output); got != test.want {
				t.Errorf("expected %d, found %d", test.want, got)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add("[a]\nfile = a.flat\nqemu_params = \"\"\"-cpu max\n-m 1G\"\"\"\nsmp = 2\n[b]\nfile = b.flat\ntest_args = 'x y'\n")
	f.Add("[a]\nfile = a.flat\nqemu_params = \"\"\"")
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		names := make(map[string]bool)
		for _, e := range entries {
			if names[e.Name] || strings.Contains(e.Name+e.File, "/") || e.File == "" || e.CPUs > maxCPUs && e.Skip == "" || e.Timeout <= 0 || e.Timeout > maxTimeout {
				t.Errorf("expected a program that can be run, found %+v", e)
			}
			names[e.Name] = true
		}
	})
}
