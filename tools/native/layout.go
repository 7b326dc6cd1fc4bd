// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"vcpulab/tools/running"
)

// Member is where a member stands in its structure, and how large it is, in bytes.
type Member struct{ Offset, Size int }

// Layout is how a kernel that was built lays out what lookups read: what shares a
// cache line depends on nothing else.
type Layout struct {
	// KVM and VCPU are the sizes of struct kvm and struct kvm_vcpu.
	KVM, VCPU int
	// Object is the size of the slab allocator's object of a vCPU, with SVM's part after struct
	// kvm_vcpu. Align is what its type is aligned to; the kernel's source may ask for more.
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
	var kvm, vcpu, object *btf.Struct
	var types running.Types
	base, err := btf.LoadSpec(vmlinux)
	if err == nil {
		types, err = running.ModuleTypes(module, base)
	}
	if err == nil {
		err = cmp.Or(types.Find("kvm", &kvm), types.Find("kvm_vcpu", &vcpu), types.Find(objectType, &object))
	}
	if err != nil {
		return Layout{}, fmt.Errorf("read how the kernel lays out vCPUs: %s: %w", module, err)
	}
	l := Layout{
		KVM: int(kvm.Size), VCPU: int(vcpu.Size), Object: int(object.Size), Align: alignOf(object),
		OfKVM: make(map[string]Member), OfVCPU: make(map[string]Member),
	}
	addMembers(l.OfKVM, "", 0, kvm)
	addMembers(l.OfVCPU, "", 0, vcpu)
	return l, nil
}

// membersOf are those of a structure or of a union: nothing else has any.
func membersOf(t btf.Type) []btf.Member {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return t.Members
	case *btf.Union:
		return t.Members
	}
	return nil
}

// addMembers adds the members of a type that stands at an offset, with those of
// structures among them. What has no name is as if its members were there.
func addMembers(to map[string]Member, prefix string, at int, t btf.Type) {
	for _, m := range membersOf(t) {
		offset := at + int(m.Offset.Bytes())
		name := prefix
		if m.Name != "" {
			name += m.Name
			size, _ := btf.Sizeof(m.Type)
			to[name] = Member{offset, size}
			name += "."
		}
		addMembers(to, name, offset, m.Type)
	}
}

// alignOf is the alignment that the members give a type. Type information does not
// have what attributes ask for besides.
func alignOf(t btf.Type) int {
	align := 1
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct, *btf.Union:
		for _, m := range membersOf(t) {
			align = max(align, alignOf(m.Type))
		}
	case *btf.Array:
		align = alignOf(t.Type)
	default:
		if size, err := btf.Sizeof(t); err == nil {
			align = size
		}
	}
	return align
}

// headers are the structures as C, with those members of struct kvm: each member
// stands where it does in the kernel, whatever stands before it.
func (l Layout) headers(ofKVM map[string]string) (map[string]string, error) {
	ofVCPU := make(map[string]string)
	for _, m := range taken.VCPU {
		name, optional := strings.CutPrefix(m.Name, "?")
		if _, has := l.OfVCPU[name]; has || !optional {
			ofVCPU[name] = m.Declaration
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
