// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcpulab/tools/exit"
	"vcpulab/tools/vm"
)

// TestRacesOverlook: races that KVM has a side of count unless they are known, and so
// does whatever else the kernel complains of.
func TestRacesOverlook(t *testing.T) {
	races := Races{
		Apart: []string{"kvm_vm_ioctl"},
		Known: []Race{
			{Between: []string{"kvm_arch_vcpu_load", "pvclock_gtod_notify"}, Why: "x"},
			{Between: []string{"svm_deliver_interrupt", "*"}, Why: "x"},
			{Between: []string{"kvm_vm_ioctl", "kvm_stat_*"}, Why: "x"},
		},
	}
	for title, want := range map[string]bool{
		"BUG: KCSAN: data-race in kvm_vcpu_ioctl [kvm] / kvm_vm_ioctl [kvm]":                         false,
		"BUG: KCSAN: data-race in svm_vcpu_run [kvm_amd] / tick_sched_handle":                        false,
		"BUG: KCSAN: data-race in fput / kvm_vm_ioctl_create_vcpu [kvm]":                             false,
		"BUG: KCSAN: data-race in mas_find / mas_wr_store":                                           true,
		"BUG: KCSAN: data-race in virtqueue_get_buf [virtio_ring] / memcpy":                          true,
		"BUG: KCSAN: data-race in a [kvmalloc]":                                                      true,
		"BUG: KCSAN: data-race in kvm_vm_ioctl [kvm]":                                                false,
		"BUG: KCSAN: data-race in kvm_arch_vcpu_load [kvm] / pvclock_gtod_notify [kvm]":              true,
		"BUG: KCSAN: data-race in pvclock_gtod_notify [kvm] / kvm_arch_vcpu_load [kvm]":              true,
		"BUG: KCSAN: data-race in kvm_arch_vcpu_load [kvm] / kvm_arch_vcpu_load [kvm]":               false,
		"BUG: KCSAN: data-race in kvm_arch_vcpu_load.part.0 [kvm] / pvclock_gtod_notify [kvm]":       false,
		"BUG: KCSAN: data-race in svm_deliver_interrupt [kvm_amd] / svm_deliver_interrupt [kvm_amd]": true,
		"BUG: KCSAN: data-race in svm_deliver_interrupt [kvm_amd] / vcpu_run [kvm]":                  true,
		"BUG: KCSAN: data-race in kvm_vm_ioctl [kvm] / svm_deliver_interrupt [kvm_amd]":              false,
		"BUG: KCSAN: data-race in svm_deliver_interrupt [kvm_amd] / kvm_vm_ioctl [kvm]":              false,
		"BUG: KCSAN: data-race in kvm_stat_data_clear [kvm] / kvm_vm_ioctl [kvm]":                    true,
		"KCSAN: data-race in mas_find / mas_wr_store":                                                true,
		"BUG: KCSAN: assert: race in kvm_publish_vcpu [kvm] / kvm_get_vcpu [kvm]":                    false,
		"WARNING: suspicious RCU usage":                                                              false,
		"WARNING: kvm_main.c:12 at kvm_vm_ioctl+0x1/0x2 [kvm], CPU#0: init/1":                        false,
		"BUG: KASAN: slab-use-after-free in KCSAN: data-race in mas_find / mas_wr_store":             false,
	} {
		if got := races.Overlook(vm.Splat{Kind: vm.KernelWarning, Title: title}); got != want {
			t.Errorf("%s: expected %t, found %t", title, want, got)
		}
	}
	if (&Races{}).Overlook(vm.Splat{Title: "BUG: KCSAN: data-race in svm_deliver_interrupt [kvm_amd] / svm_deliver_interrupt [kvm_amd]"}) {
		t.Error("a race is overlooked that is not listed")
	}
}

// TestOverlookOwn: a task that was preempted in the middle of an access does not
// race with itself. Two interrupts are not one.
func TestOverlookOwn(t *testing.T) {
	for name, tc := range map[string]struct {
		by   []string
		want bool
	}{
		"one task":       {[]string{"task 48", "task 48"}, true},
		"two tasks":      {[]string{"task 48", "task 49"}, false},
		"idle tasks":     {[]string{"task 0", "task 0"}, false},
		"interrupts":     {[]string{"interrupt", "interrupt"}, false},
		"one side":       {[]string{"task 48"}, false},
		"cut short":      {nil, false},
		"more than both": {[]string{"task 48", "task 48", "task 49"}, false},
	} {
		s := vm.Splat{Kind: vm.KernelWarning, Title: "BUG: KCSAN: data-race in kvm_arch_vcpu_put [kvm] / vcpu_run [kvm]", By: tc.by}
		if got := (&Races{}).Overlook(s); got != tc.want {
			t.Errorf("%s: expected %t, found %t", name, tc.want, got)
		}
	}
}

func TestLoadRaces(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"good":         {"apart = ['c']\n[[race]]\nbetween = ['a', 'b*']\nwhy = 'x'\n", ""},
		"none":         {"", ""},
		"one side":     {"[[race]]\nbetween = ['a']\nwhy = 'x'\n", "race 1: expected two functions and a reason"},
		"no reason":    {"[[race]]\nbetween = ['a', 'b']\n", "race 1: expected two functions and a reason"},
		"all races":    {"[[race]]\nbetween = ['*', 'b?']\nwhy = 'x'\n", "expected the whole name of a function"},
		"bad pattern":  {"[[race]]\nbetween = ['a', '[']\nwhy = 'x'\n", "syntax error in pattern"},
		"unknown word": {"[[race]]\nbetween = ['a', 'b']\nbecause = 'x'\n", "unknown field"},
		"no TOML":      {"[[race", "known"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "races.toml")
			if err := os.WriteFile(file, []byte(tc.text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := LoadRaces(file)
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || exit.Code(err) != exit.Usage):
				t.Errorf("expected %q and code %d, found %v and %d", tc.want, exit.Usage, err, exit.Code(err))
			}
		})
	}
	if _, err := LoadRaces(filepath.Join(t.TempDir(), "none")); exit.Code(err) != exit.Usage {
		t.Errorf("expected code %d, found %v", exit.Usage, err)
	}
	if _, err := LoadRaces("../../ci/races.toml"); err != nil {
		t.Error(err)
	}
}
