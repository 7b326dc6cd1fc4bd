// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// Member is where a member stands in its structure, and how large it is, in bytes.
type Member struct{ Offset, Size int }

// Layout is how a kernel that was built lays out what lookups read: what shares a
// cache line depends on nothing else.
type Layout struct {
	// KVM and VCPU are the sizes of struct kvm and struct kvm_vcpu.
	KVM, VCPU int
	// Object is the size of what the slab allocator has an object of for each
	// vCPU: struct kvm_vcpu with the part of SVM after it. Align is the alignment
	// that its type has; the kernel's source may ask for more.
	Object, Align int
	// OfKVM and OfVCPU are all members by their names, "arch.apic" for one of a
	// structure that is a member.
	OfKVM, OfVCPU map[string]Member
}

// objectType is the structure that a vCPU is allocated as: kvm-amd is the module
// that is measured in guests, too.
const objectType = "vcpu_svm"

// ReadLayout reads the layout out of the type information of a kernel and of its
// kvm-amd.ko.
func ReadLayout(vmlinux, module string) (Layout, error) {
	types, base, err := readTypes(vmlinux, module)
	if err != nil {
		return Layout{}, fmt.Errorf("read how the kernel lays out vCPUs: %w", err)
	}
	l := Layout{OfKVM: make(map[string]Member), OfVCPU: make(map[string]Member)}
	for _, s := range []struct {
		name    string
		size    *int
		members map[string]Member
	}{
		{"kvm", &l.KVM, l.OfKVM}, {"kvm_vcpu", &l.VCPU, l.OfVCPU}, {objectType, &l.Object, nil},
	} {
		var of *btf.Struct
		// What is the same as the kernel's the module does not have itself.
		err := types.TypeByName(s.name, &of)
		if errors.Is(err, btf.ErrNotFound) {
			err = base.TypeByName(s.name, &of)
		}
		if err != nil {
			return Layout{}, fmt.Errorf("read how the kernel lays out vCPUs: %s: struct %s: %w", module, s.name, err)
		}
		*s.size = int(of.Size)
		if s.members != nil {
			addMembers(s.members, "", 0, of.Members)
			continue
		}
		l.Align = alignOf(of)
	}
	return l, nil
}

// readTypes reads the types of a module, and the kernel's on which they are based.
func readTypes(vmlinux, module string) (types, base *btf.Spec, err error) {
	if base, err = btf.LoadSpec(vmlinux); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", vmlinux, err)
	}
	f, err := elf.Open(module)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	section := f.Section(".BTF")
	if section == nil {
		return nil, nil, fmt.Errorf("%s: expected a section .BTF, found none", module)
	}
	data, err := section.Data()
	if err == nil {
		types, err = btf.LoadSplitSpecFromReader(bytes.NewReader(data), base)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", module, err)
	}
	return types, base, nil
}

// addMembers adds members that stand at an offset, with those of structures among
// them. What has no name is as if its members were there.
func addMembers(to map[string]Member, prefix string, at int, members []btf.Member) {
	for _, m := range members {
		offset := at + int(m.Offset.Bytes())
		name := prefix
		if m.Name != "" {
			name += m.Name
			size, _ := btf.Sizeof(m.Type)
			to[name] = Member{offset, size}
			name += "."
		}
		switch t := btf.UnderlyingType(m.Type).(type) {
		case *btf.Struct:
			addMembers(to, name, offset, t.Members)
		case *btf.Union:
			addMembers(to, name, offset, t.Members)
		}
	}
}

// alignOf is the alignment that the members give a type. Type information does not
// have what attributes ask for besides.
func alignOf(t btf.Type) int {
	most := func(members []btf.Member) int {
		align := 1
		for _, m := range members {
			align = max(align, alignOf(m.Type))
		}
		return align
	}
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return most(t.Members)
	case *btf.Union:
		return most(t.Members)
	case *btf.Array:
		return alignOf(t.Type)
	default:
		size, err := btf.Sizeof(t)
		if err != nil {
			return 1
		}
		return size
	}
}

// vcpuMembers are what the harness has of struct kvm_vcpu, with a question mark if
// not every kernel has it.
var vcpuMembers = []struct{ declaration, name string }{
	{"struct kvm *kvm", "kvm"}, {"int vcpu_id", "vcpu_id"}, {"int vcpu_idx", "vcpu_idx"}, {"int mode", "mode"},
	{"u64 requests", "requests"}, {"void *apic", "arch.apic"}, {"struct kvm_vcpu *next", "?next"}, {"struct kvm_vcpu_table *vcpus", "?vcpus"},
}

// headers are the structures as C, with those members of struct kvm: each member
// stands where it does in the kernel, whatever stands before it.
func (l Layout) headers(ofKVM map[string]string) (map[string]string, error) {
	ofVCPU := make(map[string]string)
	for _, m := range vcpuMembers {
		name, optional := strings.CutPrefix(m.name, "?")
		if _, has := l.OfVCPU[name]; has || !optional {
			ofVCPU[name] = m.declaration
		}
	}
	vcpu, err := structure("kvm_vcpu", l.VCPU, l.OfVCPU, ofVCPU)
	if err != nil {
		return nil, err
	}
	kvm, err := structure("kvm", l.KVM, l.OfKVM, ofKVM)
	if err != nil {
		return nil, err
	}
	vcpu += fmt.Sprintf("#define VCPU_OBJECT_SIZE %d\n#define VCPU_OBJECT_ALIGN %d\n", l.Object, l.Align)
	if _, has := ofVCPU["next"]; has {
		vcpu += "#define VCPU_HAS_NEXT\n"
	}
	return map[string]string{"vcpu.h": vcpu, "vm.h": kvm}, nil
}

// structure writes a structure with these members, declarations by name.
func structure(name string, size int, at map[string]Member, members map[string]string) (string, error) {
	var fields, checks strings.Builder
	for n, path := range slices.Sorted(maps.Keys(members)) {
		m, ok := at[path]
		if !ok {
			return "", fmt.Errorf("take the lookups out of a kernel: struct %s: expected a member %s in the kernel that was built, found none", name, path)
		}
		last := path[strings.LastIndexByte(path, '.')+1:]
		fmt.Fprintf(&fields, "\t\tstruct {\n\t\t\tchar before%d[%d];\n\t\t\t%s;\n\t\t};\n", n, m.Offset, members[path])
		fmt.Fprintf(&checks, "_Static_assert(offsetof(struct %s, %s) == %d && sizeof(((struct %s *)0)->%s) == %d, \"%s is not as in the kernel\");\n",
			name, last, m.Offset, name, last, m.Size, last)
	}
	fmt.Fprintf(&checks, "_Static_assert(sizeof(struct %s) == %d, \"struct %s is not as large as in the kernel\");\n", name, size, name)
	return fmt.Sprintf("struct %s {\n\tunion {\n\t\tchar all[%d];\n%s\t};\n};\n%s", name, size, fields.String(), checks.String()), nil
}
