// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"vcpulab/ebpf/loops"
)

// Files of a kernel that code is taken from.
const (
	hostHeader = "include/linux/kvm_host.h"
	hostMain   = "virt/kvm/kvm_main.c"
)

// member is a member of struct kvm that vCPUs are held in.
var member = regexp.MustCompile(`(?m)^\t[\w\t *]*?\b(vcpu_array|first_vcpu|last_vcpu|vcpus|nr_vcpu_slots|vcpu_id_map|old_vcpus|online_vcpus)(\[KVM_MAX_VCPUS\])?;$`)

// definition finds what is defined under a name: a function, a type, or a macro
// with its continuation lines. The end of a function or type is the first line
// that begins with a brace.
func definition(source, name string) string {
	quoted := regexp.QuoteMeta(name)
	for _, form := range []string{
		`(?m)^#define ` + quoted + `\b(?:[^\n]*\\\n)*[^\n]*\n`,
		`(?m)^struct ` + quoted + ` \{\n(?:[^}\n][^\n]*\n|\n)*\};\n`,
		`(?m)^static (?:inline )?[\w \t*]+?[ *\n]` + quoted + `\((?:[^;{]*)\)\n\{\n(?:[^}\n][^\n]*\n|\n)*\}\n`,
	} {
		if found := regexp.MustCompile(form).FindString(source); found != "" {
			return found
		}
	}
	return ""
}

// extracted are the files that a tree's code makes, by name, and what the
// harness is told about it.
type extracted struct {
	files   map[string]string
	defines []string
}

// extract takes what the lookups of a kernel consist of out of its tree. It
// fails if a part of it is not where it is expected: to measure something else
// would be worse than nothing.
func extract(tree string) (extracted, error) {
	read := func(name string) (string, error) {
		data, err := os.ReadFile(filepath.Join(tree, name))
		return string(data), err
	}
	header, err := read(hostHeader)
	if err != nil {
		return extracted{}, fmt.Errorf("take the lookups out of a kernel: %w", err)
	}
	source, err := read(hostMain)
	if err != nil {
		return extracted{}, fmt.Errorf("take the lookups out of a kernel: %w", err)
	}
	out := extracted{files: make(map[string]string)}
	lack := func(file, name string) error {
		return fmt.Errorf("take the lookups out of a kernel: %s: expected a definition of %s, found none", path.Join(tree, file), name)
	}

	_, body, ok := strings.Cut(header, "\nstruct kvm {\n")
	body, _, ends := strings.Cut(body, "\n};\n")
	if !ok || !ends {
		return extracted{}, lack(hostHeader, "struct kvm")
	}
	members := strings.Join(member.FindAllString(body, -1), "\n") + "\n"
	if !strings.Contains(members, "online_vcpus;") {
		return extracted{}, lack(hostHeader, "online_vcpus")
	}
	out.files["members.h"] = strings.ReplaceAll(members, "__rcu", "")

	take := func(file, from string, names ...string) (string, error) {
		var b strings.Builder
		for _, name := range names {
			optional := strings.HasPrefix(name, "?")
			name = strings.TrimPrefix(name, "?")
			d := definition(from, name)
			if d == "" && !optional {
				return "", lack(file, name)
			}
			b.WriteString(d + "\n")
		}
		return b.String(), nil
	}
	for _, f := range []struct {
		to, file, from string
		names          []string
	}{
		{"lookups_types.h", hostHeader, header, []string{
			"?KVM_VCPU_IDS_PER_CHUNK", "?kvm_vcpu_id_chunk", "?kvm_vcpu_id_map", "?kvm_old_vcpus"}},
		{"lookups.h", hostHeader, header, []string{
			"kvm_get_vcpu", "?kvm_start_vcpu_walk", "kvm_for_each_vcpu", "kvm_get_vcpu_by_id"}},
		{"writers.h", hostMain, source, []string{
			"?kvm_old_vcpus", "?kvm_free_old_vcpus", "?kvm_reserve_vcpu_idx", "?kvm_free_vcpu_id_map",
			"?__kvm_map_vcpu_id", "?kvm_map_vcpu_id", "?kvm_publish_vcpu"}},
	} {
		if out.files[f.to], err = take(f.file, f.from, f.names...); err != nil {
			return extracted{}, err
		}
	}
	has := func(define, file, text string) {
		if strings.Contains(out.files[file], text) {
			out.defines = append(out.defines, "-D"+define)
		}
	}
	has("HAS_XARRAY", "members.h", "struct xarray vcpu_array;")
	has("HAS_TABLE", "members.h", "nr_vcpu_slots;")
	has("HAS_ID_MAP", "members.h", "vcpu_id_map;")
	has("HAS_PUBLISH", "writers.h", "kvm_publish_vcpu(")
	has("WALK_HAS_INDEX", "lookups.h", "#define kvm_for_each_vcpu(idx")

	if out.files["loops.h"], err = measuredLoops(); err != nil {
		return extracted{}, err
	}
	return out, nil
}

// measuredLoops are those of the module, with their numbers: the same code
// measures here.
func measuredLoops() (string, error) {
	var out strings.Builder
	for _, part := range []struct{ file, begin, end string }{
		{"vcpuloops.h", "enum vcpuloops_op {", "/* Most numbers"},
		{"device.c", "u64 vcpuloops_nop(", "static int run_loop("},
	} {
		data, err := loops.Source.ReadFile(part.file)
		if err != nil {
			return "", err
		}
		source := string(data)
		begin, end := strings.Index(source, part.begin), strings.Index(source, part.end)
		if begin < 0 || end < begin {
			return "", fmt.Errorf("take the loops out of the module: %s does not have them where they are expected", part.file)
		}
		out.WriteString(source[begin:end])
	}
	return out.String(), nil
}
