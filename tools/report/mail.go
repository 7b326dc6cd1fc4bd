// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"vcpulab/tools/results"
)

// mailRow is a figure that is worth a line in a mail.
type mailRow struct {
	label, name string
	sizes       []int // numbers of vCPUs
}

// mailRows are few: a mail says what changed, the page has the rest.
var mailRows = []mailRow{
	{"kvm_get_vcpu()", "get/vcpus=%d/ids=dense", []int{1, 64, 1024}},
	{"kvm_get_vcpu_by_id(), ID is index", "by_id/vcpus=%d/ids=dense", []int{1, 64, 1024}},
	{"kvm_get_vcpu_by_id(), other ID", "by_id/vcpus=%d/ids=sparse", []int{1, 64, 1024}},
	{"kvm_get_vcpu_by_id(), no match", "by_id/vcpus=%d/ids=dense/missing", []int{1, 64, 1024}},
	{" - if IDs aren't indices", "by_id/vcpus=%d/ids=sparse/missing", []int{1, 64, 1024}},
	{"kvm_for_each_vcpu(), per vCPU", "walk/vcpus=%d/ids=dense", []int{1, 64, 1024}},
	// The first vCPU of a VM pays for code that is patched once.
	{"KVM_CREATE_VCPU, all of a VM", "create/vcpus=%d/ids=dense/all", []int{64, 512, 1024}},
	{" - if IDs aren't indices", "create/vcpus=%d/ids=sparse/all", []int{64, 512, 1024}},
	{"Start of a VM, until each has run", "start/vcpus=%d/ids=sparse/ran", []int{64, 512}},
	{"IPI to all others", "path/vcpus=%d/ids=sparse/do=ipi-broadcast/call", []int{64, 512}},
	{"Hyper-V IPI to one", "path/vcpus=%d/ids=sparse/do=hyperv-ipi/call", []int{64, 512}},
	{"Request to all vCPUs", "path/vcpus=%d/ids=sparse/do=request-all/call", []int{64, 512}},
	{"Xen event from the guest", "path/vcpus=%d/ids=sparse/do=xen-send/call", []int{64, 512}},
	{"Memory to hold vCPUs, bytes", "memory/vcpus=%d/ids=dense", []int{1, 64, 1024, 4096}},
	{" - if IDs aren't indices", "memory/vcpus=%d/ids=sparse", []int{1, 64, 1024, 4096}},
}

// Mail writes the figures that a cover letter or a commit message quotes: plain
// text of at most 75 columns, indented, and a line that says where they are
// from. They are instructions and memory where these were counted, else the
// times of user space.
func Mail(w io.Writer, r *results.Results) error {
	if len(r.Kernels) < 2 {
		return fmt.Errorf("report: expected two kernels, found %d", len(r.Kernels))
	}
	base, patched := r.Kernels[0], r.Kernels[len(r.Kernels)-1]
	// Variants are beside the point here.
	if i := slices.IndexFunc(r.Kernels, func(k results.Kernel) bool { return k.Name == namePatched }); i > 0 {
		patched = r.Kernels[i]
	}
	arm, decimals := results.ICount, 0
	if !slices.ContainsFunc(r.Figures, func(f results.Figure) bool { return f.Method == arm }) {
		arm, decimals = results.Native, 1
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "vCPUs\tbefore\tafter\t\n")
	var labels []string
	for _, row := range mailRows {
		label := row.label
		for _, n := range row.sizes {
			name := fmt.Sprintf(row.name, n)
			old, ok := r.Find(name, base.Name, arm)
			if !ok {
				continue
			}
			now, ok := r.Find(name, patched.Name, arm)
			if !ok {
				return fmt.Errorf("report: %s was measured on %s and not on %s", name, base.Name, patched.Name)
			}
			fmt.Fprintf(t, "%d\t%s\t%s\t\n", n, number(old.Value, decimals), number(now.Value, decimals))
			labels = append(labels, label)
			label = ""
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(labels) == 0 {
		return fmt.Errorf("report: found neither counted instructions nor times of user space, which are what mails quote")
	}
	// The compiler's version is the last word of its line.
	compiler := base.Compiler[strings.LastIndexByte(base.Compiler, ' ')+1:]
	out := fmt.Sprintf("Instructions, counted by %s (TCG, -icount shift=0), Linux %s,\n"+
		"gcc %s, %s preemption, %s RCU, HZ=%d:\n\n",
		shortQEMU(r.Host.QEMU), base.Release, compiler, base.Preemption, base.RCU, base.HZ)
	if arm == results.Native {
		out = fmt.Sprintf("Nanoseconds, of the lookups alone, compiled for user space, Linux %s,\n"+
			"gcc %s, %s:\n\n", base.Release, compiler, r.Host.CPU)
	}
	for i, line := range strings.Split(strings.TrimRight(b.String(), "\n"), "\n") {
		label := ""
		if i > 0 {
			label = labels[i-1]
		}
		out += strings.TrimRight(fmt.Sprintf("  %-34s%s", label, line), " ") + "\n"
	}
	_, err := io.WriteString(w, out)
	return err
}
