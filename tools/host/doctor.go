// SPDX-License-Identifier: GPL-2.0-only

package host

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"vcpulab/tools/program"
	"vcpulab/tools/progress"
)

// What a whole run takes.
const (
	NeedDisk   int64 = 12 << 30 // bytes, with kernels, trees and results
	NeedMemory int64 = 8 << 30  // bytes
)

// Report is what Doctor found. It can be written as JSON.
type Report struct {
	Host  Host   `json:"host"`
	KVM   KVM    `json:"kvm"`
	Root  string `json:"root"` // how packages can be installed: "root", "sudo" or why not
	Tools []Tool `json:"tools"`
	Jobs  []Job  `json:"jobs"`
}

// Tool is a package of the list on this machine.
type Tool struct {
	Package
	Groups  []string `json:"groups"`
	Missing bool     `json:"missing"`
	Version string   `json:"version,omitempty"` // as the program prints it
}

// Job is something that one can do with the project.
type Job struct {
	Name    string   `json:"name"` // the group of packages that it takes
	Purpose string   `json:"purpose"`
	Can     bool     `json:"can"`
	Lacks   []string `json:"lacks,omitempty"` // in words
}

// Lacking returns the packages that are missing, for Command. Go is left out:
// Debian's is too old, and it has built this program.
func (r *Report) Lacking() []Package {
	var all []Package
	for _, t := range r.Tools {
		if t.Missing && t.Provides != "go" {
			all = append(all, t.Package)
		}
	}
	return all
}

// base are the programs that are expected on any machine and not installed.
var base = []Package{
	{"golang-go", "go", "builds the tools"},
	{"git", "git", "reads git checkouts; applied patches are compared with its"},
	{"make", "make", "builds kernels"},
	{"gcc", "gcc", "compiles kernels"},
}

// Doctor describes the machine, what it lacks of a list, and what can be done with it.
// probeKVM, unless nil, boots a guest with a /dev/kvm that opens, and says how that went.
func Doctor(ctx context.Context, list *List, cacheDir string, probeKVM func(context.Context) (bool, string)) (*Report, error) {
	r := &Report{Host: Read(cacheDir), KVM: ReadKVM("/dev/kvm"), Root: "root"}
	if r.KVM.Opens && probeKVM != nil {
		r.KVM.Works, r.KVM.Why = probeKVM(ctx)
	}
	if prefix, why := aptPrefix(ctx, os.Geteuid()); why != "" {
		r.Root = why
	} else if len(prefix) > 0 {
		r.Root = "sudo"
	}

	all, err := list.Packages(list.Names()...)
	if err != nil {
		return nil, err
	}
	all = append(slices.Clone(base), all...)
	lacking, err := missing(ctx, all)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		t := Tool{Package: p, Missing: slices.Contains(lacking, p)}
		for _, g := range list.Groups {
			if has(g.Packages, p.Name) {
				t.Groups = append(t.Groups, g.Name)
			}
		}
		if !t.Missing {
			t.Version = version(ctx, p.Provides)
		}
		r.Tools = append(r.Tools, t)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	r.Jobs = r.jobs(list)
	return r, nil
}

// jobs returns what can be done with which packages; building takes disk and memory, too.
func (r *Report) jobs(list *List) []Job {
	var jobs []Job
	for _, g := range list.Groups {
		j := Job{Name: g.Name, Purpose: g.Purpose}
		for _, t := range r.Tools {
			if t.Missing && (len(t.Groups) == 0 || slices.Contains(t.Groups, g.Name)) {
				j.Lacks = append(j.Lacks, t.Name)
			}
		}
		if g.Name == "build" {
			if free := r.Host.DiskFree; free < NeedDisk {
				j.Lacks = append(j.Lacks, fmt.Sprintf("disk space: %s free in %s, a whole run takes %s", gib(free), r.Host.CacheDir, gib(NeedDisk)))
			}
			if m := r.Host.Memory; m > 0 && m < NeedMemory {
				j.Lacks = append(j.Lacks, fmt.Sprintf("memory: %s, a whole run takes %s", gib(m), gib(NeedMemory)))
			}
		}
		j.Can = len(j.Lacks) == 0
		jobs = append(jobs, j)
	}
	return jobs
}

// version returns the first line that a program prints about its version, "" for
// a header or a program that fails.
func version(ctx context.Context, name string) string {
	path, err := lookPath(name)
	if err != nil {
		return ""
	}
	arg := "--version"
	if name == "go" {
		arg = "version"
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	line, err := program.Version(ctx, path, arg)
	if err != nil {
		return ""
	}
	return line
}

func gib(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }

// Text writes the report for people.
func (r *Report) Text(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "system\t%s, Linux %s, %s\n", r.Host.OS, r.Host.Kernel, r.Host.Arch)
	fmt.Fprintf(w, "processor\t%s, %s\n", progress.Count(r.Host.Cores, "core"), r.Host.CPU)
	fmt.Fprintf(w, "memory\t%s, %s available\n", gib(r.Host.Memory), gib(r.Host.Available))
	fmt.Fprintf(w, "disk\t%s free in %s\n", gib(r.Host.DiskFree), r.Host.CacheDir)
	kvm := "works: " + r.KVM.Why
	if !r.KVM.Works {
		kvm = "not used, guests are emulated: " + r.KVM.Why
	}
	fmt.Fprintf(w, "/dev/kvm\t%s\n", kvm)
	install := map[string]string{"root": "can be installed", "sudo": "can be installed by sudo"}[r.Root]
	fmt.Fprintf(w, "packages\t%s\n\n", cmp.Or(install, "cannot be installed: "+r.Root))

	for _, t := range r.Tools {
		state := cmp.Or(t.Version, "installed")
		if t.Missing {
			state = "MISSING: " + t.Why
		}
		fmt.Fprintf(w, "%s\t%s\n", t.Name, state)
	}
	fmt.Fprintf(w, "\n")
	for _, j := range r.Jobs {
		state := "yes"
		if !j.Can {
			state = "no, lacks " + strings.Join(j.Lacks, ", ")
		}
		fmt.Fprintf(w, "%s\t%s: %s\n", j.Name, j.Purpose, state)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if lacking := r.Lacking(); len(lacking) > 0 {
		_, err := fmt.Fprintf(out, "\nTo install what is missing: %s\n", Command(lacking))
		return err
	}
	return nil
}
