// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"strings"
	"testing"
)

// report is one of the kernel: what it begins with, and its backtrace on x86.
func report(heading string, frames ...string) string {
	lines := append([]string{heading, "CPU: 0 UID: 0 PID: 61 Comm: vcpu_id_test Not tainted 7.3.4 #1 PREEMPT(lazy) ",
		"Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014", "Call Trace:", " <TASK>"}, frames...)
	lines = append(lines, " do_syscall_64+0x67/0x2a0", " entry_SYSCALL_64_after_hwframe+0x4b/0x53",
		"RIP: 0033:0x7f0c1a2b3c4d", "RSP: 002b:00007ffd1b0e4c58 EFLAGS: 00000246 ORIG_RAX: 0000000000000010", " </TASK>")
	var text strings.Builder
	for _, frame := range strings.Split(strings.Join(lines, "\n"), "\n") {
		text.WriteString("[    7.400100][   T61] " + frame + "\r\n")
	}
	return text.String()
}

// warned is a report that ends with a WARN().
func warned(heading, where string, frames ...string) string {
	function, _, _ := strings.Cut(where[strings.LastIndex(where, " ")+1:], "+")
	text := report("WARNING: "+where+", CPU#0: vcpu_id_test/61\nModules linked in: kvm\nRIP: 0010:"+function+"+0x13/0x80", frames...)
	return "[    7.400090][   T61] " + strings.ReplaceAll(heading, "\n", "\n[    7.400090][   T61] ") + "\n" + text + "[    7.400101][   T61] ---[ end trace 0000000000000000 ]---\n"
}

// all returns the splats of a console.
func all(t *testing.T, console string) []Splat {
	t.Helper()
	first(t, console)
	c := newConsole(maxConsole, nil)
	_, _ = c.Write([]byte(console))
	c.close()
	return c.splats()
}

// TestSameCaller compares complaints about a caller with those of another task, processor
// or line, and with those of another caller.
func TestSameCaller(t *testing.T) {
	const sleeping = "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:"
	const slub = "=============================================================================\nBUG kmalloc-64 (Not tainted): "
	for name, tc := range map[string]struct {
		console func(line, task, caller string) string
		splats  int
	}{
		"scheduling": {func(line, task, caller string) string {
			return report("BUG: scheduling while atomic: "+task+"/0x00000002\nModules linked in: kvm",
				" dump_stack_lvl+0x5d/0x80", " __schedule_bug.cold+0x42/0x4e", " __schedule+0xb"+line+"/0x1350", " ? __lock_acquire+0x43b/0x2150", " schedule+0x27/0xd0", " schedule_timeout+0x"+line+"/0x140",
				" "+caller+"+0x"+line+"/0x510 [kvm]", " kvm_vcpu_ioctl+0x3a3/0xaf0 [kvm]")
		}, 1},
		"sleeping": {func(line, task, caller string) string {
			return report(sleeping+line+"\nin_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 61, name: "+task+"\npreempt_count: 1, expected: 0\n1 lock held by "+task+":\n"+
				" #0: ffff888003c10a58 (&kvm->mmu_lock){++++}-{3:3}, at: kvm_mmu_zap+0x"+line+"/0x80 [kvm]\nPreemption disabled at:\n[<ffffffffc0123456>] kvm_mmu_zap+0x"+line+"/0x80 [kvm]",
				" dump_stack_lvl+0x5d/0x80", " __might_resched.cold+0xf/0x1c", " __mutex_lock+0x6e/0xf20", " mutex_lock_nested+0x1b/0x30", " "+caller+"+0x"+line+"/0x510 [kvm]")
		}, 1},
		"preemptible": {func(line, task, caller string) string {
			return report("BUG: using smp_processor_id() in preemptible [00000000] code: "+task+"\ncaller is "+caller+"+0x"+line+"/0x50 [kvm]",
				" dump_stack_lvl+0x5d/0x80", " check_preemption_disabled+0xd1/0xe0", " "+caller+"+0x"+line+"/0x510 [kvm]")
		}, 1},
		"UBSAN": {func(line, task, caller string) string {
			return report("------------[ cut here ]------------\nUBSAN: shift-out-of-bounds in virt/kvm/kvm_main.c:"+line+":34\nshift exponent 64 is too large for 64-bit type 'u64'",
				" dump_stack_lvl+0x5d/0x80", " ubsan_epilogue+0x9/0x40", " __ubsan_handle_shift_out_of_bounds.cold+0x61/0xef", " "+caller+".isra.0+0x"+line+"/0x510 [kvm]")
		}, 1},
		"UBSAN on arm64": {func(line, task, caller string) string {
			return "UBSAN: division-overflow in virt/kvm/kvm_main.c:" + line + ":1\ndivision by zero\nCall trace:\n show_stack+0x18/0x30 (C)\n dump_stack_lvl+0x78/0x90\n" +
				" dump_stack+0x18/0x24\n ubsan_epilogue+0x10/0x48\n __ubsan_handle_divrem_overflow+0x94/0xf4\n " + caller + "+0x" + line + "/0x510\n el0_svc+0x30/0xd0\n"
		}, 1},
		"UBSAN on riscv64": {func(line, task, caller string) string {
			return "UBSAN: division-overflow in virt/kvm/kvm_main.c:" + line + ":1\nCall Trace:\n[<ffffffff80005c2a>] dump_backtrace+0x1c/0x24\n[<ffffffff80002d9a>] show_stack+0x2c/0x38\n" +
				"[<ffffffff80a1b2c4>] dump_stack_lvl+0x52/0x74\n[<ffffffff80a1b2c4>] ubsan_epilogue+0xe/0x3c\n[<ffffffff80" + line + "2c4>] " + caller + "+0x" + line + "/0x510\n"
		}, 1},
		"MSR": {func(line, task, caller string) string {
			return report("unchecked MSR access error: RDMSR from 0x"+line+" at rIP: 0xffffffff81000000 (native_read_msr+0x4/0x20)", " "+caller+"+0x"+line+"/0x510 [kvm]")
		}, 1},
		"slub": {func(line, task, caller string) string {
			return warned(slub+"Object already free\n-----------------------------------------------------------------------------\n\nAllocated in kvm_alloc+0x"+line+"/0x80 age=3 cpu=0 pid=61\n kvm_alloc+0x"+line+"/0x80",
				"mm/slub.c:1"+line+" at object_err+0x49/0x50", " free_consistency_checks+0x8a/0x140", " free_to_partial_list+0x1b2/0x620", " __slab_free+0x2b/0x3c0", " kfree+0x2e4/0x3f0",
				" "+caller+"+0x"+line+"/0x510 [kvm]")
		}, 2},
		"lists": {func(line, task, caller string) string {
			return warned("list_del corruption, ffff888003c1"+line+"58->next is NULL", "lib/list_debug.c:52 at __list_del_entry_valid_or_report+0x5c/0xd0", " "+caller+"+0x"+line+"/0x510 [kvm]")
		}, 2},
		"refcount": {func(line, task, caller string) string {
			return warned("refcount_t: underflow; use-after-free.", "lib/refcount.c:28 at refcount_warn_saturate+0x5c/0xd0", " "+caller+"+0x"+line+"/0x510 [kvm]")
		}, 2},
		"debug objects": {func(line, task, caller string) string {
			return warned("ODEBUG: free active (active state 0) object: 00000000b1 object type: timer_list hint: kvm_timer+0x0/0x20",
				"lib/debugobjects.c:629 at debug_print_object+0x174/0x200", " debug_check_no_obj_freed+0x2b1/0x350", " kfree+0x2e4/0x3f0", " "+caller+"+0x"+line+"/0x510 [kvm]")
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a, b, other := all(t, tc.console("591", "vcpu_id_test/61", "kvm_arch_destroy")), all(t, tc.console("612", "CPU 0/KVM/77", "kvm_arch_destroy")), all(t, tc.console("591", "vcpu_id_test/61", "kvm_vm_release"))
			if len(a) != tc.splats || len(b) != tc.splats || len(other) != tc.splats {
				t.Fatalf("expected %d splats, found\n%+v\n%+v\n%+v", tc.splats, a, b, other)
			}
			for i := range a {
				if a[i].Caller != "kvm_arch_destroy" || strings.Contains(a[i].Title, " in kvm_arch") {
					t.Errorf("the caller is missing in %+v", a[i])
				}
				if !a[i].Same(b[i]) || a[i].Same(other[i]) || other[i].Same(a[i]) {
					t.Errorf("the first two should be the same:\n%+v\n%+v\n%+v", a[i], b[i], other[i])
				}
			}
		})
	}
}

// TestNoCaller is about complaints whose caller is not known, or not looked for.
func TestNoCaller(t *testing.T) {
	const caller = " kvm_arch_destroy+0x10/0x20 [kvm]"
	for name, console := range map[string]string{
		"another WARN":      warned("", "virt/kvm/kvm_main.c:12 at kvm_destroy_vm+0x1/0x2", caller),
		"a lockup":          report("watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a:1]", caller),
		"no backtrace":      "BUG: scheduling while atomic: a/1/0x00000002\n" + caller + "\n",
		"another's":         "[    7.400100][   T60] BUG: scheduling while atomic: a/1/0x00000002\n" + strings.SplitN(report("Show", caller), "\n", 2)[1],
		"of the next":       "BUG: scheduling while atomic: a/1/0x00000002\nCall Trace:\n <TASK>\n schedule+0x27/0xd0\n </TASK>\nCall Trace:\n" + caller + "\n",
		"only on the stack": "BUG: scheduling while atomic: a/1/0x00000002\nCall Trace:\n <TASK>\n ?" + caller + "\n",
	} {
		if s := first(t, console); s.Caller != "" {
			t.Errorf("%s: found %q", name, s.Caller)
		}
	}
	with, without := first(t, report("BUG: scheduling while atomic: a/1/0x00000002", caller)), first(t, "BUG: scheduling while atomic: a/1/0x00000002")
	if with.Caller == "" || !with.Same(without) || !without.Same(with) {
		t.Errorf("expected the same where one caller is unknown: %+v", with)
	}
}
