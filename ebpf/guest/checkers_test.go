// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/ebpf/wire"
)

// alive are the files of a guest all of whose checkers are on, as the pinned
// kernel's sources print them.
func alive() map[string]string {
	return map[string]string{
		"proc/lockdep_stats":                           " lock-classes:                         1204 [max: 8192]\n debug_locks:                             1\n",
		"sys/module/lockdep/parameters/prove_locking":  "1\n",
		"sys/kernel/debug/debug_objects/stats":         "max_chain     : 12\nwarnings      : 0\npool_used     : 1312\npool_max_used : 4000\n",
		"sys/kernel/debug/kmemleak":                    "",
		"sys/kernel/debug/kcsan":                       "enabled: 1\nused_watchpoints: 2\n",
		"sys/kernel/debug/failslab/probability":        "0\n",
		"sys/kernel/debug/fail_page_alloc/probability": "0\n",
		"proc/kallsyms":                                "ffffffff81000000 T _stext\nffffffff81234560 T kasan_report\nffffffff81234570 t other\n",
		"proc/cmdline":                                 "panic=-1 kasan_multi_shot\n",
		"proc/sys/kernel/tainted":                      "512\n",
	}
}

// TestCheckers switches each checker off in each way in which it can be.
func TestCheckers(t *testing.T) {
	names := []string{wire.Lockdep, wire.DebugObjects, wire.Kmemleak, wire.KASAN, wire.KCSAN, wire.FaultInjection}
	const gone = "\x00"
	for name, tc := range map[string]struct {
		change map[string]string
		dead   string // the only one that is, "" if none
		why    string
	}{
		"all on":                    {nil, "", ""},
		"lockdep gave up":           {map[string]string{"proc/lockdep_stats": " debug_locks:                             0\n"}, wire.Lockdep, "debug_locks:                             0"},
		"lockdep not in the kernel": {map[string]string{"proc/lockdep_stats": gone}, wire.Lockdep, "no such file"},
		"lockdep, another format":   {map[string]string{"proc/lockdep_stats": "locks: 1\n"}, wire.Lockdep, `expected "debug_locks"`},
		"lockdep proves nothing":    {map[string]string{"sys/module/lockdep/parameters/prove_locking": "0\n"}, wire.Lockdep, "prove_locking: 0"},
		"objects forgotten":         {map[string]string{"sys/kernel/debug/debug_objects/stats": "pool_used     : 0\n"}, wire.DebugObjects, "pool_used     : 0"},
		"objects off":               {map[string]string{"sys/kernel/debug/debug_objects/stats": gone}, wire.DebugObjects, "no such file"},
		"kmemleak off":              {map[string]string{"sys/kernel/debug/kmemleak": gone, "sys/kernel/debug/kmemleak/no": ""}, wire.Kmemleak, "is a directory"},
		"KASAN not in the kernel":   {map[string]string{"proc/kallsyms": "ffffffff81000000 T _stext\n"}, wire.KASAN, "not in the kernel"},
		"KASAN, one shot left":      {map[string]string{"proc/cmdline": "panic=-1\n"}, "", ""},
		"KASAN, its shot used up":   {map[string]string{"proc/cmdline": "panic=-1\n", "proc/sys/kernel/tainted": "544\n"}, wire.KASAN, "tainted: 544"},
		"KASAN, all are reported":   {map[string]string{"proc/sys/kernel/tainted": "544\n"}, "", ""},
		"KCSAN off":                 {map[string]string{"sys/kernel/debug/kcsan": "enabled: 0\n"}, wire.KCSAN, "enabled: 0"},
		"KCSAN not in the kernel":   {map[string]string{"sys/kernel/debug/kcsan": gone}, wire.KCSAN, "no such file"},
		"no failing slabs":          {map[string]string{"sys/kernel/debug/failslab/probability": gone}, wire.FaultInjection, "failslab"},
		"no failing pages":          {map[string]string{"sys/kernel/debug/fail_page_alloc/probability": gone}, wire.FaultInjection, "fail_page_alloc"},
	} {
		t.Run(name, func(t *testing.T) {
			files, root := alive(), t.TempDir()
			for f, text := range tc.change {
				files[f] = text
			}
			for f, text := range files {
				f = filepath.Join(root, f)
				err := os.MkdirAll(filepath.Dir(f), 0o755)
				if text != gone && err == nil {
					err = os.WriteFile(f, []byte(text), 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			got, err := lookAt(root, names)
			if err != nil || len(got) != len(names) {
				t.Fatalf("expected %d checkers, found %v, %v", len(names), got, err)
			}
			for _, c := range got {
				if c.Name != tc.dead {
					if c.Wrong != "" {
						t.Errorf("%s is on: %s", c.Name, c.Wrong)
					}
				} else if c.Wrong == "" || !strings.Contains(c.Wrong, tc.why) {
					t.Errorf("%s: expected %q, found %q", c.Name, tc.why, c.Wrong)
				}
			}
		})
	}
	if _, err := lookAt("", []string{"lint"}); !errors.Is(err, wire.ErrInvalid) {
		t.Errorf("expected %v of an unknown checker, found %v", wire.ErrInvalid, err)
	}
}

// TestWentOff: a program is blamed for those that went off while it ran.
func TestWentOff(t *testing.T) {
	state := func(wrong ...string) (all []wire.Checker) {
		for _, w := range wrong {
			all = append(all, wire.Checker{Wrong: w})
		}
		return all
	}
	for name, tc := range map[string]struct {
		before, now []wire.Checker
		after       string // of each, by commas
		off         bool
	}{
		"on":          {state("", ""), state("", ""), ",", false},
		"never on":    {state("x", ""), state("x", ""), ",", false},
		"went off":    {state("", ""), state("", "x"), ",a", true},
		"both":        {state("", ""), state("x", "x"), "a,a", true},
		"the other":   {state("x", ""), state("x", "x"), ",a", true},
		"no checkers": {nil, nil, "", false},
	} {
		off := wentOff(tc.before, tc.now, "a")
		var after []string
		for _, c := range tc.now {
			after = append(after, c.After)
		}
		if got := strings.Join(after, ","); off != tc.off || got != tc.after {
			t.Errorf("%s: expected %v, %q, found %v, %q", name, tc.off, tc.after, off, got)
		}
	}
}

// FuzzExpectField: files of the kernel in another format are no proof.
func FuzzExpectField(f *testing.F) {
	for _, text := range alive() {
		f.Add(text)
	}
	name := filepath.Join(f.TempDir(), "file")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := expectField(name, "debug_locks", is("1")); err == nil && !strings.Contains(text, "debug_locks") {
			t.Errorf("taken for on: %q", text)
		}
	})
}

// FuzzReadJob: a job is whole or refused.
func FuzzReadJob(f *testing.F) {
	f.Add(`{"exec":{"programs":[{"name":"a","path":"/a","max_output":1}],"checkers":["KASAN"]},"mounts":["tmpfs"]}`)
	f.Add(`{"unknown":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := readJob(strings.NewReader(text)); err != nil && !errors.Is(err, wire.ErrInvalid) {
			t.Errorf("expected %v, found %v", wire.ErrInvalid, err)
		}
	})
}
