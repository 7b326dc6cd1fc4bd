// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vcpulab/ebpf/loops"
	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
	"vcpulab/tools/running"
	"vcpulab/tools/vm"
)

// goBuild has go build a static program, or go test -c one that has the tests of a
// package.
func goBuild(program, pkg string, verb ...string) error {
	cmd := exec.Command("go", append(verb, "-o", program, "-trimpath", "-buildvcs=false", "-ldflags=-s -w", pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch.X86_64().GoArch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// TestRunningInGuest has the command measure the kernel that runs, which is that of
// a guest: there is one that takes modules, and whatever goes wrong with it is
// gone with the guest. Time is not what is looked at: the guest is emulated and
// counts instructions, which it cannot know.
func TestRunningInGuest(t *testing.T) {
	c, k := pinnedKernel(t)
	kvm, err := k.ModulePath(vm.KVMModule(arch.X86_64(), vm.TCG))
	if err != nil {
		t.Fatal(err)
	}
	replaced := func(old, new string) func(string) string {
		return func(s string) string { return strings.ReplaceAll(s, old, new) }
	}
	command := filepath.Join(t.TempDir(), "vcpulab")
	if err := goBuild(command, "vcpulab/tools/cmd/vcpulab", "build"); err != nil {
		t.Fatal(err)
	}
	files := []vm.File{
		{Path: "bin/vcpulab", Mode: 0o755, Host: command},
		withinFile(t),
		{Path: "go.mod", Mode: 0o644, Data: []byte("module vcpulab\n")}, // of a clone
		{Path: "boot/config-" + k.Release, Mode: 0o644, Host: k.ConfigPath()},
	}
	for name, edit := range map[string]func(string) string{
		"good":   nil,
		"lies":   replaced("kvm_get_vcpu(kvm, READ_ONCE(numbers[i]))", "kvm_get_vcpu(kvm, 0)"),
		"renown": replaced("vcpuloops_walk", "vcpuloops_stroll"),
		// As if the kernel had been configured in another way.
		"other": replaced("#include <linux/file.h>\n", "#undef CONFIG_KVM_ASYNC_PF\n#include <linux/file.h>\n"),
	} {
		files = append(files, vm.File{Path: name + "/" + loops.Module, Mode: 0o644, Host: buildLoops(t, c, k, edit)})
	}
	files = append(files, vm.File{Path: "headers/" + loops.Module, Mode: 0o644, Host: buildAgainstHeaders(t, c, k)})
	measure := func(more ...string) []string {
		return append([]string{"/bin/vcpulab", "--root", "/", "--cache", "/cache", "-q",
			"bench", "--running", "--program", "/init", "--sizes", "1,65", "--rounds", "1"}, more...)
	}
	with := func(module string) []string {
		return measure("--module", "/"+module+"/"+loops.Module, "--out", "/out/"+module)
	}
	within := func(words ...string) []string { return append([]string{"/bin/within"}, words...) }
	modules := within("cat", "/proc/modules")
	var names []string
	var programs []wire.Program
	wants := make(map[string]struct {
		code int
		text string
	})
	step := func(name string, words []string, code int, text string) {
		t.Helper()
		names = append(names, name)
		programs = append(programs, wire.Program{Name: name, Path: words[0], Args: words[1:], MaxOutput: 2 << 20})
		wants[name] = struct {
			code int
			text string
		}{code, text}
	}
	step("another user", within(append([]string{"as", "1000"}, with("good")...)...), exit.MachineLacks,
		`not root: run it with sudo env "PATH=$PATH"`)
	step("nothing to build with", measure("--out", "/out/none"), exit.MachineLacks,
		"nothing to build modules with in /lib/modules/"+k.Release+"/build: install linux-headers-"+k.Release)
	// A kernel makes up its mind about clocks a second after it was booted.
	step("too early", with("good"), exit.MachineLacks, `expected the clock source tsc, found "tsc-early"`)
	step("settled", within("until", "/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"), 0, "")
	step("another configuration", with("other"), exit.MachineLacks, "vcpuloops.ko is not for the kernel that runs: struct kvm_vcpu: the kernel has the member")
	step("probes do not attach", with("renown"), exit.MachineLacks, "probes do not attach to the loops")
	step("not loaded after probes", modules, 0, "kvm ")
	step("wrong vCPUs", with("lies"), exit.CheckFailed, wire.ErrChecksum.Error())
	step("not loaded after wrong vCPUs", modules, 0, "kvm ")
	step("too large", measure("--module", "/good/"+loops.Module, "--sizes", "4097"), exit.Usage, "--sizes: expected 1 to 4096 vCPUs")
	step("good", measure("--module", "/good/"+loops.Module), 0, "kvm_get_vcpu()")
	step("not loaded after it", modules, 0, "kvm ")
	step("headers", with("headers"), 0, "memory not counted:")
	step("not loaded after that", modules, 0, "kvm ")
	step("results", within("cat", "/out/running/results.json"), 0, `"running"`)
	step("interrupted", within(append([]string{"interrupt", "vcpuloops"}, with("good")...)...), exit.Interrupted, "interrupted")
	step("not loaded after Ctrl-C", modules, 0, "kvm ")
	step("compared", []string{"/bin/vcpulab", "--root", "/", "--cache", "/cache", "bench", "compare", "--fail-on-regression",
		"/out/running/results.json", "/out/running/results.json"}, 0, "figures: ")
	step("no more modules", within("write", "/proc/sys/kernel/modules_disabled", "1"), 0, "")
	step("modules disabled", with("good"), exit.MachineLacks, "modules_disabled is 1")

	job := wire.Job{Exec: &wire.Exec{Programs: programs}, Mounts: []string{"tmpfs"}}
	m := vm.Machine{
		Arch: arch.X86_64(), Kernel: k.ImagePath(), MemMiB: guestMemMiB, ICount: true,
		Append: []string{"clocksource=tsc", "tsc=reliable", "tsc_early_khz=1000000", "hpet=disable", "pmtmr=0"},
	}
	start := time.Now()
	var ended []wire.Test
	_, err = vm.Boot(t.Context(), c, m, vm.Guest{
		Job: job, Modules: []vm.Module{{Host: kvm}}, ModuleDir: filepath.Join(k.Dir, "modules"), Files: files,
	}, vm.Options{Timeout: time.Hour, Silence: 10 * time.Minute, KeepDir: t.TempDir(), OnRecord: func(r wire.Record) error {
		if r.Test != nil {
			ended = append(ended, *r.Test)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the guest ran for %v", time.Since(start).Round(time.Second))
	if len(ended) != len(names) {
		t.Fatalf("expected %d programs, found %d", len(names), len(ended))
	}
	for i, got := range ended {
		want := wants[names[i]]
		if got.Outcome != wire.OutcomeExit || got.Code != want.code || !strings.Contains(got.Output, want.text) {
			// Its end says why; what it shows as time before is none here.
			t.Errorf("%s: expected status %d and %q, found %s, %d, ending with\n%s", got.Name, want.code, want.text,
				got.Outcome, got.Code, got.Output[max(0, len(got.Output)-600):])
		}
		if strings.HasPrefix(got.Name, "not loaded") && strings.Contains(got.Output, "vcpuloops") {
			t.Errorf("%s: the module is still loaded:\n%s", got.Name, got.Output)
		}
		if got.Name == "results" {
			checkHere(t, got.Output, k.Release)
		}
	}
}

// buildAgainstHeaders builds the module against what a distribution installs for
// those who build modules: neither a vmlinux nor the source of the kernel's own
// memory management.
func buildAgainstHeaders(t *testing.T, c *cache.Cache, k *kbuild.Kernel) string {
	t.Helper()
	links := func(from string, but ...string) string {
		entries, err := os.ReadDir(from)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for _, e := range entries {
			if slices.Contains(but, e.Name()) {
				continue
			}
			if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	built := filepath.Join(k.Dir, "build")
	source, dir := links(k.Tree.Dir, "mm"), links(built, "vmlinux")
	makefile := fmt.Sprintf("export KBUILD_OUTPUT = %s\ninclude %s/Makefile\n", dir, source)
	if err := os.WriteFile(filepath.Join(dir, "Makefile"), []byte(makefile), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(filepath.Join(built, "vmlinux"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := f.Section(".BTF").Data()
	if err != nil {
		t.Fatal(err)
	}
	types, src := filepath.Join(t.TempDir(), "vmlinux"), filepath.Join(t.TempDir(), running.ModuleName)
	if err := errors.Join(os.WriteFile(types, data, 0o644), os.CopyFS(src, loops.Source)); err != nil {
		t.Fatal(err)
	}
	ko, err := (&kbuild.Builder{Cache: c}).BuildInstalled(t.Context(), kbuild.Installed{Release: k.Release, Dir: dir, BTF: types}, src, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return ko
}

// checkHere looks at the results of the running kernel, but not at how long
// anything took.
func checkHere(t *testing.T, text, release string) {
	t.Helper()
	r, err := results.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Kernels) != 1 || r.Kernels[0].Name != NameRunning || r.Kernels[0].Release != release || r.Kernels[0].HZ != 1000 ||
		len(r.Kernels[0].Config) != 64 || !strings.HasPrefix(r.Kernels[0].Compiler, "gcc") || len(r.Kernels[0].Image) != 40 {
		t.Errorf("kernels: %+v", r.Kernels)
	}
	if len(r.Boots) != 2 || r.Boots[0].Again == r.Boots[1].Again || r.Boots[0].BootID != r.Boots[1].BootID || r.Boots[0].BootID == "" {
		t.Errorf("expected two runs of the same boot, found %d", len(r.Boots))
	}
	for _, b := range r.Boots {
		if b.Method != results.Running || b.Clock.Before != "tsc" || b.Command != "" || len(b.Memory) != 4 || len(b.Growths)+len(b.Paths) != 0 {
			t.Errorf("a run: %+v, %+v, %d times memory", b.Method, b.Clock, len(b.Memory))
		}
	}
	run := r.Host.Running
	if run == nil {
		t.Fatal("expected what the kernel ran on, found nothing")
	}
	if run.ConfigFrom != "/boot/config-"+release || run.Online != "0" || run.CPU != 0 || run.Governor != results.Unknown ||
		run.Turbo != results.Unknown || !strings.HasPrefix(run.Virtualized, "yes") || run.NoMemory != "" || run.Load[1] == "" {
		t.Errorf("what it ran on: %+v", *run)
	}
	for _, name := range []string{
		"get/vcpus=65/ids=dense", "by_id/vcpus=65/ids=sparse", "by_id/vcpus=1/ids=sparse/missing", "walk/vcpus=65/ids=dense",
		"create/vcpus=65/ids=dense/all", "memory/vcpus=65/ids=sparse", "sizeof/struct=kvm",
	} {
		f, ok := findNamed(r, name, NameRunning, results.Running)
		if !ok || f.Value <= 0 || len(f.Boots) != 1 || strings.Contains(f.Unit(), "insns") {
			t.Errorf("%s: expected a figure, found %v: %+v", name, ok, f)
		}
	}
}
