// SPDX-License-Identifier: GPL-2.0-only

package native

import (
	_ "embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"vcpulab/ebpf/loops"
	"vcpulab/tools/tomlfile"
)

// Files of a kernel that code is taken from.
const (
	hostHeader = "include/linux/kvm_host.h"
	hostMain   = "virt/kvm/kvm_main.c"
)

//go:embed taken.toml
var takenSource []byte

// taken is what is taken out of a kernel: the file says more. A question mark stands
// before the name of what not every kernel has.
var taken struct {
	Members string // a regular expression
	Files   []struct {
		To, From string
		Names    []string
	}
	Defines []struct{ Name, File, Text string }
	VCPU    []struct{ Declaration, Name string }
}

// member is a member of struct kvm that vCPUs are held in.
var member *regexp.Regexp

func init() {
	tomlfile.Embedded("taken.toml", takenSource, &taken)
	member = regexp.MustCompile(`(?m)^\t[\w\t *]*?\b(` + taken.Members + `)(\[\w+\])?;(?:[ \t]*/\*.*\*/)?$`)
}

// definition finds what is defined under a name: a function or a type, which ends with a line that
// begins with a brace, or a macro with its continuation lines.
func definition(source, name string) string {
	quoted := regexp.QuoteMeta(name)
	for _, form := range []string{
		`(?m)^#define ` + quoted + `\b(?:[^\n]*\\\n)*[^\n]*\n`,
		`(?m)^struct ` + quoted + ` \{\n(?:[^}\n][^\n]*\n|\n)*\};\n`,
		`(?m)^(?:static (?:inline )?[\w \t*]+?[ *\n]|void )` + quoted + `\((?:[^;{]*)\)\n\{\n(?:[^}\n][^\n]*\n|\n)*\}\n`,
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

// cacheFlags is how the kernel's source creates the slab cache of vCPUs.
var cacheFlags = regexp.MustCompile(`kmem_cache_create_usercopy\("kvm_vcpu",[^;]*;`)

// extract takes what the lookups of a kernel consist of out of its tree. It fails if a part of it is
// not where it is expected: to measure something else would be worse than nothing.
func extract(tree string, layout Layout) (extracted, error) {
	sources := make(map[string]string)
	for _, name := range []string{hostHeader, hostMain} {
		data, err := os.ReadFile(filepath.Join(tree, name))
		if err != nil {
			return extracted{}, fmt.Errorf("take the lookups out of a kernel: %w", err)
		}
		sources[name] = string(data)
	}
	lack := func(file, name string) (extracted, error) {
		return extracted{}, fmt.Errorf("take the lookups out of a kernel: %s: expected a definition of %s, found none", path.Join(tree, file), name)
	}

	_, body, ok := strings.Cut(sources[hostHeader], "\nstruct kvm {\n")
	body, _, ends := strings.Cut(body, "\n};\n")
	if !ok || !ends {
		return lack(hostHeader, "struct kvm")
	}
	members := make(map[string]string)
	for _, m := range member.FindAllStringSubmatch(body, -1) {
		declaration, _, _ := strings.Cut(strings.TrimSpace(m[0]), ";")
		members[m[1]] = strings.ReplaceAll(declaration, "__rcu", "")
	}
	if members["online_vcpus"] == "" {
		return lack(hostHeader, "online_vcpus")
	}
	create := cacheFlags.FindString(sources[hostMain])
	if create == "" {
		return lack(hostMain, "the slab cache of vCPUs")
	}

	var out extracted
	var err error
	if out.files, err = layout.headers(members); err != nil {
		return extracted{}, err
	}
	if strings.Contains(create, "SLAB_HWCACHE_ALIGN") {
		out.defines = append(out.defines, "-DVCPU_HWCACHE_ALIGN")
	}
	for _, f := range taken.Files {
		for _, name := range f.Names {
			name, optional := strings.CutPrefix(name, "?")
			d := definition(sources[f.From], name)
			if d == "" && !optional {
				return lack(f.From, name)
			}
			out.files[f.To] += d + "\n"
		}
	}
	for _, d := range taken.Defines {
		if strings.Contains(out.files[d.File], d.Text) {
			out.defines = append(out.defines, "-D"+d.Name)
		}
	}
	out.files["loops.h"], err = measuredLoops()
	return out, err
}

// measuredLoops are those of the module, with their numbers: the same code measures here.
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
		_, code, begins := strings.Cut(string(data), part.begin)
		code, _, ends := strings.Cut(code, part.end)
		if !begins || !ends {
			return "", fmt.Errorf("take the loops out of the module: %s does not have them where they are expected", part.file)
		}
		out.WriteString(part.begin + code)
	}
	return out.String(), nil
}
