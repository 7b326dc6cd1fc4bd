// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vcpulab/tools/tomlfile"
)

// headings are the lines of testdata/headings.toml: name, kind, text.
func headings(t *testing.T) [][]string {
	t.Helper()
	var file struct{ Headings [][]string }
	if err := tomlfile.Load("testdata/headings.toml", &file); err != nil {
		t.Fatal(err)
	}
	return file.Headings
}

// TestHeadings prints each heading as the kernel does, with a time stamp and
// without, and after text that a program left without a newline.
func TestHeadings(t *testing.T) {
	names := map[string]bool{}
	for _, h := range headings(t) {
		name, kind, text := h[0], FaultKind(h[1]), h[2]
		if names[name] {
			t.Errorf("duplicate name %q", name)
		}
		names[name] = true
		for _, before := range []string{"", "[    3.043083] ", "[    3.0] ", "[    1.224896][    T1] ", "[   12.345678][ C1] ", "ok 7 vcpu_id_test[   12.301944][  T88] ", "Testing  [   12.301944] "} {
			c := newConsole(maxConsole, nil)
			_, _ = c.Write([]byte(before + text + "\r\n"))
			var got FaultKind
			if s := c.splats(); len(s) > 0 {
				got = s[0].Kind
			}
			if got != kind {
				t.Errorf("%s: %q: expected %q, found %q", name, before+text, kind, got)
			}
		}
	}
}

// first returns the first splat of a console.
func first(t *testing.T, console string) Splat {
	t.Helper()
	c := newConsole(maxConsole, nil)
	_, _ = c.Write([]byte(console))
	c.close()
	if len(c.splats()) == 0 {
		t.Fatalf("no splat in %q", console)
	}
	return c.splats()[len(c.splats())-1]
}

func TestSame(t *testing.T) {
	warn := func(condition, where, function, rest string) string {
		return "[    7.400100] " + condition + "\n[    7.400102] WARNING: " + where + " at " + function + "+0x9b1/0x2310, " + rest + "\n"
	}
	circular := func(task, lock, function string) string {
		return "WARNING: possible circular locking dependency detected\n------\n" + task + " is trying to acquire lock:\n" +
			"ffff888003c10a58 (" + lock + "){+.+.}-{4:4}, at: " + function + "+0x1a4/0x2310\n"
	}
	leak := func(at, alloc, caller string) string {
		return "kmemleak: unreferenced object " + at + " (size 512) after a\n  comm \"a\", pid 52, jiffies 4294944017\n" +
			"  backtrace (crc 0):\n    " + alloc + "+0x2b1/0x350\n    " + caller + "+0x5d/0xb0 [kvm]\n"
	}
	const file, f = "virt/kvm/kvm_main.c:4412", "kvm_vm_ioctl"
	base := warn("online != created", file, f, "CPU#0: vcpu_id_test/61")
	for name, tc := range map[string]struct {
		a, b string
		same bool
	}{
		"another line, task and processor": {base, warn("online != created", "virt/kvm/kvm_main.c:4431", f, "CPU#1: worker-3/75"), true},
		"another condition":                {base, warn("r == -EBUSY", file, f, "CPU#0: vcpu_id_test/61"), false},
		"another function":                 {base, warn("online != created", file, "kvm_vcpu_ioctl", "CPU#0: vcpu_id_test/61"), false},
		"a part of the function":           {base, warn("online != created", file, f+".cold.12", "CPU#0: vcpu_id_test/61"), true},
		"no condition":                     {base, "WARNING: " + file + " at kvm_vm_ioctl+0x1/0x2, CPU#0: a/1\n", true},
		"a message of long ago": {base,
			"[    5.0] unrelated\n[    7.400102] WARNING: " + file + " at kvm_vm_ioctl+0x1/0x2, CPU#0: a/1\n", true},
		"a message of another task": {base,
			"[    7.400102][    T9] unrelated\n[    7.400102][    T1] WARNING: " + file + " at kvm_vm_ioctl+0x1/0x2, CPU#0: a/1\n", true},
		"after a stack": {base,
			"[    7.400102]  do_syscall_64+0x4f/0x2f0\n[    7.400102] WARNING: " + file + " at kvm_vm_ioctl+0x1/0x2, CPU#0: a/1\n", true},
		"cut here": {base, "------------[ cut here ]------------\nr == -EBUSY\n" +
			"WARNING: " + file + " at kvm_vm_ioctl+0x1/0x2, CPU#0: a/1\n", false},
		"cut here, and nothing": {base, "[    7.400102] other\n[    7.400102] ------------[ cut here ]------------\n" +
			"[    7.400102] WARNING: " + file + " at kvm_vm_ioctl+0x1/0x2, CPU#0: a/1\n", true},
		"numbers in a text":       {warn("vcpu 7 of 8", file, f, "CPU#0: a/1"), warn("vcpu 1 of 4", file, f, "CPU#0: a/1"), true},
		"a warning and a heading": {base, "WARNING: suspicious RCU usage\n", false},

		"lockdep, another task": {circular("a b/101", "&kvm->lock", f), circular("worker/7", "&kvm->lock", f), true},
		"lockdep, another interrupted function": {
			circular("a/101", "&gpc->lock", f) + "RIP: 0010:lock_acquire+0x191/0x310\n", circular("swapper/1/0", "&gpc->lock", f) + "RIP: 0010:default_idle+0x13/0x20\n", true},
		"lockdep, another lock":     {circular("a/101", "&kvm->lock", f), circular("a/101", "&kvm->slots_lock", f), false},
		"lockdep, another function": {circular("a/101", "&kvm->lock", f), circular("a/101", "&kvm->lock", "kvm_free"), false},
		"RCU, another place": {"WARNING: suspicious RCU usage\n-----\nvirt/kvm/a.c:12 suspicious rcu_dereference_check() usage!\n",
			"WARNING: suspicious RCU usage\n-----\nvirt/kvm/b.c:12 suspicious rcu_dereference_check() usage!\n", false},
		"RCU, another line": {"WARNING: suspicious RCU usage\n-----\nvirt/kvm/a.c:12 suspicious rcu_dereference_check() usage!\n",
			"WARNING: suspicious RCU usage\n-----\nvirt/kvm/a.c:13 suspicious rcu_dereference_check() usage!\n", true},

		"a leak":           {leak("0xffff88800a5c2000", "kmalloc", f), leak("0xffff88800a5d4000", "kmalloc", f) + "other\n    kfree+0x1/0x2\n", true},
		"another's leak":   {leak("0xffff88800a5c2000", "kmalloc", f), leak("0xffff88800a5c2000", "kmalloc", "kvm_create"), false},
		"allocated by one": {leak("0xffff88800a5c2000", "kmalloc", f), leak("0xffff88800a5c2000", "kvmalloc", f), false},

		"a task hangs":    {"INFO: task CPU 0/KVM:412 blocked for more than 120 seconds.", "INFO: task init:1 blocked for more than 143 seconds.", true},
		"atomic":          {"BUG: scheduling while atomic: a b/88/0x00000002", "BUG: scheduling while atomic: kworker/0:1/9/0x00000003", true},
		"preemptible":     {"BUG: using smp_processor_id() in preemptible [00000000] code: a/1", "BUG: using smp_processor_id() in preemptible [00000001] code: c d/2", true},
		"another in code": {"BUG: using smp_processor_id() in preemptible [00000000] code: a/1", "BUG: using __this_cpu_add() in preemptible [00000000] code: a/1", false},
		"locks held":      {"WARNING: CPU 0/KVM/77 still has locks held!", "WARNING: init/1 still has locks held!", true},
		"lockup":          {"watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [CPU 0/KVM:412]", "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [init:1]", true},
		"a page":          {"BUG: Bad page state in process CPU 0/KVM  pfn:12345", "BUG: Bad page state in process init  pfn:1", true},
		"a spinlock":      {"BUG: spinlock bad magic on CPU#0, CPU 0/KVM/77", "BUG: spinlock bad magic on CPU#1, init/1", true},
		"leaked":          {"BUG: workqueue leaked atomic, lock or RCU: kworker/0:1[9]", "BUG: workqueue leaked atomic, lock or RCU: kworker/1:1[9]", true},
		"KASAN": {"BUG: KASAN: slab-use-after-free in kvm_get_vcpu+0x10/0x20 [kvm]",
			"BUG: KASAN: slab-use-after-free in kvm_get_vcpu+0x12/0x24 [kvm]", true},
		"KASAN, another function": {"BUG: KASAN: slab-use-after-free in kvm_get_vcpu+0x10/0x20 [kvm]",
			"BUG: KASAN: slab-use-after-free in kvm_free+0x10/0x20 [kvm]", false},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := first(t, tc.a), first(t, tc.b)
			if a.Same(b) != tc.same || b.Same(a) != tc.same {
				t.Errorf("expected %v of\n%+v\n%+v", tc.same, a, b)
			}
		})
	}
}

// TestMessages cuts lines at time stamps, and at nothing else in brackets.
func TestMessages(t *testing.T) {
	for line, want := range map[string][]string{
		"":                                 {""},
		"[    1.234567] a":                 {"a"},
		"[    1.5][    T1] a [1.5] b":      {"a [1.5] b"},
		"ok 1 [    1.234567][    C1] a":    {"ok 1 ", "a"},
		"[    1.234567] a[    1.234568] b": {"a", "b"},
		"[    1.234567] ":                  {""},
		"x[    1.234567]  func+0x1/0x2 [kvm] [2.5]": {"x", " func+0x1/0x2 [kvm] [2.5]"},
	} {
		var got []string
		for _, m := range messages([]byte(line + "\r")) {
			got = append(got, m.text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
	if m := messages([]byte("[    1.500000][   T12] a"))[0]; m.at != 1.5 || m.by != "T12" {
		t.Errorf("expected 1.5 s and T12, found %s", fmt.Sprint(m))
	}
}
