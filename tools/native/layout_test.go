// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"vcpulab/tools/program"
	"vcpulab/tools/tree"
)

// sizesOfKVM are the sizes of what struct kvm holds vCPUs in.
var sizesOfKVM = map[string]int{
	"vcpu_array": 16, "first_vcpu": 8, "first_vcpus": 64, "last_vcpu": 8, "vcpus": 8, "nr_vcpu_slots": 4, "vcpu_tables": 48, "nr_vcpu_tables": 4,
	"vcpu_seg_masks": 40, "vcpu_segs": 80, "vcpu_chunks": 256, "vcpu_id_map": 8, "old_vcpus": 8, "online_vcpus": 4,
}

// layoutOf is a layout for a tree that no kernel was built from. Where members
// stand in struct kvm_vcpu is as in the unpatched kernel, or in one with a list
// or with a table of the vCPU's own.
func layoutOf(t *testing.T, of tree.Tree) Layout {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(of.Dir, hostHeader))
	if err != nil {
		t.Fatal(err)
	}
	header := string(data)
	l := Layout{VCPU: 6448, Object: 7400, Align: 8, OfKVM: make(map[string]Member)}
	l.OfVCPU = map[string]Member{
		"kvm": {0, 8}, "vcpu_id": {36, 4}, "vcpu_idx": {40, 4}, "mode": {48, 4}, "requests": {56, 8}, "arch.apic": {552, 8},
	}
	if strings.Contains(header, "struct kvm_vcpu *next;") {
		maps.Copy(l.OfVCPU, map[string]Member{
			"next": {8, 8}, "vcpu_id": {16, 4}, "vcpu_idx": {20, 4}, "mode": {96, 4}, "requests": {104, 8},
		})
	}
	if strings.Contains(header, "struct kvm_vcpu_table *vcpus;") {
		l.OfVCPU["vcpus"] = Member{24, 8}
	}
	_, body, _ := strings.Cut(header, "\nstruct kvm {\n")
	body, _, _ = strings.Cut(body, "\n};\n")
	l.KVM = 64
	for _, m := range member.FindAllStringSubmatch(body, -1) {
		size := sizesOfKVM[m[1]]
		if m[2] == "[KVM_MAX_VCPUS]" {
			size *= 4096
		}
		l.OfKVM[m[1]] = Member{l.KVM, size}
		l.KVM += (size + 63) / 64 * 64
	}
	return l
}

// build builds the program of a tree that no kernel was built from.
func build(t *testing.T, of tree.Tree) (string, error) {
	t.Helper()
	c, _ := pinned(t)
	return Build(t.Context(), c, of, layoutOf(t, of))
}

// buildWith is build with a file of the harness edited.
func buildWith(t *testing.T, of tree.Tree, file, old, new string) (string, error) {
	t.Helper()
	c, _ := pinned(t)
	parts, err := gather(of.Dir, layoutOf(t, of))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(parts.files[file], old) != 1 {
		t.Fatalf("%s: expected one place that reads %q", file, old)
	}
	parts.files[file] = strings.Replace(parts.files[file], old, new, 1)
	return parts.build(t.Context(), c, of, "edited")
}

// TestReadLayout compares what the unpatched kernel's type information says with
// what pahole makes of it.
func TestReadLayout(t *testing.T) {
	image, modules := os.Getenv("VCPULAB_TEST_KERNEL"), os.Getenv("VCPULAB_TEST_MODULES")
	if image == "" || modules == "" {
		t.Skip("NOT RUN: VCPULAB_TEST_KERNEL and VCPULAB_TEST_MODULES are not set: there is no kernel; make test sets them")
	}
	vmlinux, module := filepath.Join(filepath.Dir(image), "vmlinux"), filepath.Join(modules, "kvm-amd.ko")
	l, err := ReadLayout(vmlinux, module)
	if err != nil {
		t.Fatal(err)
	}
	if want := l.OfVCPU["arch"].Offset; l.OfVCPU["arch.apic"].Offset <= want || l.OfVCPU["arch.apic"].Size != 8 {
		t.Errorf("expected a pointer in what is at %d, found %+v", want, l.OfVCPU["arch.apic"])
	}
	for name, of := range map[string]struct {
		size    int
		members map[string]Member
		check   []string
	}{
		"kvm":      {l.KVM, l.OfKVM, []string{"vcpu_array", "online_vcpus"}},
		"kvm_vcpu": {l.VCPU, l.OfVCPU, []string{"kvm", "vcpu_id", "vcpu_idx", "mode", "requests"}},
		"vcpu_svm": {l.Object, nil, nil},
	} {
		out, _, err := program.Program{Name: "pahole"}.Run(t.Context(), "--btf_base", vmlinux, "-C", name, module)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(out), "/* size: "+strconv.Itoa(of.size)+",") {
			t.Errorf("struct %s: expected pahole to say %d bytes, found\n%s", name, of.size, out)
		}
		for _, m := range of.check {
			line := regexp.MustCompile(`\b` + m + `; +/\* +(\d+) +(\d+) \*/`).FindStringSubmatch(string(out))
			if line == nil || line[1] != strconv.Itoa(of.members[m].Offset) || line[2] != strconv.Itoa(of.members[m].Size) {
				t.Errorf("struct %s: %s: expected what pahole says, %q, found %+v", name, m, line, of.members[m])
			}
		}
	}
	if l.Align != 8 {
		t.Errorf("struct vcpu_svm: expected an alignment of 8, found %d", l.Align)
	}
}

// TestLayoutRefuses: a kernel that lays out something else is not measured as if it
// were this one.
func TestLayoutRefuses(t *testing.T) {
	c, base := pinned(t)
	for name, tt := range map[string]struct {
		change func(*Layout)
		says   string
	}{
		"a member is missing":    {func(l *Layout) { delete(l.OfVCPU, "mode") }, "struct kvm_vcpu: expected a member mode"},
		"a container is missing": {func(l *Layout) { delete(l.OfKVM, "vcpu_array") }, "struct kvm: expected a member vcpu_array"},
		"another size":           {func(l *Layout) { l.OfKVM["vcpu_array"] = Member{64, 40} }, "vcpu_array is not as in the kernel"},
		"not aligned":            {func(l *Layout) { l.OfVCPU["requests"] = Member{60, 8} }, "requests is not as in the kernel"},
	} {
		t.Run(name, func(t *testing.T) {
			l := layoutOf(t, base)
			tt.change(&l)
			if _, err := Build(t.Context(), c, base, l); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("expected an error that says %q, found %v", tt.says, err)
			}
		})
	}
	if _, err := ReadLayout(os.Args[0], os.Args[0]); err == nil {
		t.Error("expected an error where there is no type information")
	}
}
