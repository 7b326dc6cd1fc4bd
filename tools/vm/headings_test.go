// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// printer is how sources of the kernel print headings.
type printer struct {
	files string // globs
	call  string // a regular expression whose group has the literals; @ stands for them
	form  string // what is printed for a literal, which is %s; "" is by printk
}

// printers are those of the pinned kernel.
var printers = []printer{
	{"kernel/*.c kernel/locking/*.c kernel/irq/*.c kernel/time/*.c kernel/rcu/*.[ch] kernel/sched/core.c kernel/sched/debug.c kernel/kcsan/report.c " +
		"lib/*.c mm/*.c mm/k*/*.c virt/kvm/*.c arch/x86/include/asm/pgtable_64.h arch/x86/entry/*.c arch/x86/kernel/*.c arch/x86/mm/*.c " +
		"arch/arm64/kernel/*.c arch/arm64/mm/*.c arch/arm64/kvm/*.c arch/arm64/include/asm/pgtable.h arch/riscv/kernel/*.c arch/riscv/mm/*.c " +
		"arch/powerpc/kernel/traps.c arch/powerpc/mm/fault.c",
		`(?:printk\w*|pr_\w+|print_lockdep_off)\((?:KERN_\w+\s*)?\s*(@)`, ""},

	{"arch/arm64/kernel/*.c arch/arm64/mm/fault.c", `\b(?:die|arm64_notify_die)\((@)`, "Internal error: %s: "},
	{"arch/arm64/kvm/handle_exit.c", `\bkvm_err\(("(?:nVHE|Invalid)[^"]*")`, "kvm [%d]: %s"},
	{"arch/arm64/mm/fault.c", `\{ do_(?:sea|alignment_fault|tag_check_fault),[^"\n]*(@)`, "Internal error: %s: "},
	{"arch/arm64/mm/fault.c", `(?:\{ do_bad,[^"\n]*|\bmsg = |die_kernel_fault\()(@)`, "Unable to handle kernel %s at virtual address "},
	{"arch/riscv/mm/fault.c", `(?:\bmsg = |die_kernel_fault\()(@)`, "Unable to handle kernel %s at virtual address "},
	{"arch/riscv/kernel/traps.c", `DO_ERROR_INFO\(do_\w+,[^"]*(@)`, "Oops - %s [#"},
	{"arch/riscv/kernel/traps.c", `("Oops - [^"]+\w")`, "%s [#"},
	{"arch/riscv/kernel/*.c arch/riscv/mm/fault.c", `\bdie\(regs, (@)`, "%s [#"},
	{"arch/x86/kernel/*.c arch/x86/mm/fault.c", `\b(?:__die|die|do_error_trap|do_trap)\((?:\w+, )*(@)`, "Oops: %s: "},
	{"arch/x86/kernel/traps.c", `(?:char \*str = |#define (?:GPFSTR|VE_FAULT_STR) )((?:[^";]*@)+)`, "Oops: %s: "},
	{"arch/powerpc/kernel/traps.c arch/powerpc/mm/fault.c", `\bdie\((@)`, "Oops: %s, sig: "},

	{"lib/list_debug.c fs/*.c", `CHECK_DATA_CORRUPTION\([^"]*(@)`, "%s"},
	{"mm/slub.c", `\b(?:slab_bug|slab_err|object_err)\([^";]*(@)`, "BUG %d (Not tainted): %s"},
	{"lib/refcount.c", `\bREFCOUNT_WARN\((@)`, "refcount_t: %s."},
	{"lib/ubsan.c", `\bubsan_prologue\(((?:[^";]*@)+)`, "UBSAN: %s in "},
	{"lib/ubsan.c", `\breturn (@)`, "traps: %s at "},
	{"lib/ubsan.c", `\breturn (@)`, "Internal error: %s: "},
	{"kernel/locking/spinlock_debug.c", `\bSPIN_BUG_ON\([^";]*(@)`, "BUG: spinlock %s on CPU#"},
	{"kernel/locking/spinlock_debug.c", `\bRWLOCK_BUG_ON\([^";]*(@)`, "BUG: rwlock %s on CPU#"},
	{"mm/kasan/report.c", `\bcase KASAN_REPORT_\w+:\s*info->bug_type = (@)`, "BUG: KASAN: %s in "},
	{"mm/kasan/report.c", `\bconst char \*bug_type;((?s:.*))pr_alert`, "KASAN: %s in range "},
	{"mm/kasan/report_*.c", `(?:\bbug_type = |\breturn )(@)`, "BUG: KASAN: %s in "},
	{"mm/kmsan/report.c", `\bbug_type = ((?:[^";]*@)+)`, "BUG: KMSAN: %s in "},
	{"kernel/kcsan/report.c", `KCSAN_ACCESS_ASSERT\) != 0 \? ((?:[^";]*@)+)`, "BUG: KCSAN: %s in "},
	{"mm/kmemleak.c", `\b(?:kmemleak_warn|kmemleak_stop|pr_warn\w*|pr_err\w*)\((@)`, "kmemleak: %s"},
}

const (
	// literals are C's "a" "b" with macros between them.
	literals = `"(?:[^"\\]|\\.)*"(?:\s*(?:[A-Z][A-Z_]+\s*)?"(?:[^"\\]|\\.)*")*`
	// heading is how a heading begins among all that printk prints.
	heading = `^(?:\[ BUG|BUG|WARNING: |INFO: |Oops|PANIC|Unable to handle kernel|Internal error|(?i:kernel BUG)|[Kk]ernel stack|Kernel memory %s|Out of memory\. ODEBUG|` +
		`%s: Corrupted page table|CFI failure|Missing ENDBR|unchecked MSR|Fixing recursive|Insufficient stack|SError Interrupt|Unhandled %s exception|` +
		`Machine check in kernel|Bad trap|Bad kernel stack|Unrecoverable |Unexpected TM|Facility '|VMX/Altivec assist|` +
		`pagealloc: |KASAN: |turning off the locking|%s kthread |%s\(\): Double-freed|huh, |csd: %s non|irq event %d|irq %d: nobody|%s:%d: bad p|` +
		`CPU%u: Watchdog|Watchdog |Marking clocksource|sched: CPU %d need_resched|workqueue: %ps hogged|workqueue %s: %s\(\) isn't|.*Checked W)`
)

var (
	literal   = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
	adjacent  = regexp.MustCompile(literals)
	ofHeading = regexp.MustCompile(heading)
	prefix    = regexp.MustCompile(`#define pr_fmt\(fmt\)\s+(?:(KBUILD_MODNAME) )?"([^"]*)" ?fmt`)
	ofGo      = strings.NewReplacer(`\'`, "'", `\e`, `\x1b`) // escapes that only C has
	verb      = regexp.MustCompile(`-?\d+|%[-+#0-9.*]*(?:hh?|ll?|z|t|L)?(?:p[A-Za-z]*|[a-zA-Z])`)
)

// texts returns the formats in a match of a printer's call.
func texts(t *testing.T, matched string) (all []string) {
	t.Helper()
	for _, run := range adjacent.FindAllString(matched, -1) {
		text, end := "", 0
		for _, at := range literal.FindAllStringIndex(run, -1) {
			part, err := strconv.Unquote(ofGo.Replace(run[at[0]:at[1]]))
			if err != nil {
				t.Fatalf("%s: %v", run, err)
			}
			if strings.TrimSpace(run[end:at[0]]) != "" {
				text += "%s" // a macro
			}
			text, end = text+part, at[1]
		}
		all = append(all, text)
	}
	return all
}

// printed is a regular expression for the first line of what a format prints.
func printed(format string) *regexp.Regexp {
	line, _, ends := strings.Cut(strings.TrimLeft(format, "\n"), "\n")
	text, from := "^", 0
	for _, at := range verb.FindAllStringIndex(line, -1) {
		text += regexp.QuoteMeta(line[from:at[0]]) + ".*"
		from = at[1]
	}
	text += regexp.QuoteMeta(strings.TrimRight(line[from:], " "))
	if ends {
		text += "$"
	}
	return regexp.MustCompile(text)
}

// find returns the formats that a printer has in a file of the kernel.
func (p printer) find(t *testing.T, path string, source string) (formats []string) {
	t.Helper()
	before := ""
	if m := prefix.FindStringSubmatch(source); m != nil {
		before = m[2]
		if m[1] != "" {
			before = strings.TrimSuffix(filepath.Base(path), ".c") + before
		}
	}
	if strings.Contains(path, "kernel/rcu/tree") {
		before = "rcu: " // of tree.c, which includes them
	}
	call := regexp.MustCompile(strings.ReplaceAll(p.call, "@", literals))
	for _, m := range call.FindAllStringSubmatch(source, -1) {
		for _, text := range texts(t, m[1]) {
			switch {
			case p.form != "":
				text = strings.ReplaceAll(p.form, "%s", strings.TrimSuffix(text, "\n"))
			case !ofHeading.MatchString(text):
				continue
			case strings.HasPrefix(m[0], "pr_"):
				text = before + text
			}
			formats = append(formats, text)
		}
	}
	return formats
}

// TestHeadingsOfKernel looks through the sources of the pinned kernel's checks for
// headings that testdata/headings.toml lacks.
func TestHeadingsOfKernel(t *testing.T) {
	dir := os.Getenv("VCPULAB_TEST_TREE")
	if dir == "" {
		t.Skip("NOT TESTED: VCPULAB_TEST_TREE does not name the unpacked pinned kernel; run make test, or set it")
	}
	known := headings(t)
	for _, p := range printers {
		found := 0
		for glob := range strings.FieldsSeq(p.files) {
			files, err := filepath.Glob(filepath.Join(dir, glob))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: found %d files, %v", glob, len(files), err)
			}
			for _, file := range files {
				if strings.Contains(file, "test") || strings.Contains(file, "torture") {
					continue
				}
				source, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for _, format := range p.find(t, file, string(source)) {
					found++
					if re := printed(format); !slices.ContainsFunc(known, func(h []string) bool { return re.MatchString(h[2]) }) {
						t.Errorf("%s: no heading for %q", strings.TrimPrefix(file, dir+"/"), format)
					}
				}
			}
		}
		if found == 0 {
			t.Errorf("found no headings in %s by %s", p.files, p.call)
		}
	}
}
