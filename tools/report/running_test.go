// SPDX-License-Identifier: GPL-2.0-only

package report

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"vcpulab/tools/results"
)

// running is a run on the machine's own kernel: made up of a real one, because
// what machine it is from is what is looked at.
func running(t testing.TB) *results.Results {
	t.Helper()
	r := upTo(t, readFixture(t), 8)
	r.Kernels = []results.Kernel{{Name: "here", Release: "7.3.4", Config: "95f1d117", Compiler: "gcc", HZ: 1000, Preemption: "lazy", RCU: "preemptible"}}
	r.Boots = slices.DeleteFunc(r.Boots, func(b results.Boot) bool { return b.Kernel != "base" })
	for i := range r.Boots {
		r.Boots[i].Kernel, r.Boots[i].Method, r.Boots[i].Command = "here", results.Running, ""
	}
	r.Host = results.Host{CPU: "Z80", Cores: 8, OS: "Debian", Running: &results.HostKernel{
		Version: "#1 SMP", BuildID: "0123456789abcdef", ConfigFrom: "/proc/config.gz", Online: "0-7", CPU: 7,
		Governor: "performance", Turbo: "off", Virtualized: "no", Load: [2]string{"0.01", "0.90"},
	}}
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCompareRunning: two kernels that ran on the same machine are compared, and
// what was not the same is said.
func TestCompareRunning(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(old, new *results.Results)
		why  string // "" if all can be compared
	}{
		"another kernel": {edit: func(_, r *results.Results) { r.Kernels[0].Release, r.Host.Running.Version = "7.4", "#2 SMP" }},
		"another load":   {edit: func(_, r *results.Results) { r.Host.Running.Load[0] = "4" }},
		"processor":      {edit: func(_, r *results.Results) { r.Host.CPU = "6502" }, why: "processor"},
		"configuration":  {edit: func(_, r *results.Results) { r.Kernels[0].Config = "0" }, why: "configuration"},
		"governor":       {edit: func(_, r *results.Results) { r.Host.Running.Governor = "powersave" }, why: "governor"},
		"turbo":          {edit: func(_, r *results.Results) { r.Host.Running.Turbo = "on" }, why: "turbo"},
		"command line":   {edit: func(_, r *results.Results) { r.Boots[0].Cmdline = "mitigations=off" }, why: "command line of the kernel"},
		"virtualized":    {edit: func(_, r *results.Results) { r.Host.Running.Virtualized = "KVM" }, why: "virtualization"},
		"processors":     {edit: func(_, r *results.Results) { r.Host.Running.Online = "0-3" }, why: "processors"},
		"nothing known": {edit: func(old, new *results.Results) {
			old.Kernels[0].Config, new.Kernels[0].Config = results.Unknown, results.Unknown
		}, why: "configuration"},
		"no machine": {edit: func(old, new *results.Results) { old.Host.Running, new.Host.Running = nil, nil }, why: "processors, virtualization"},
	} {
		t.Run(name, func(t *testing.T) {
			old, new := running(t), running(t)
			tt.edit(old, new)
			c := Compare(old, new)
			if c.Good() != (tt.why == "") {
				t.Fatalf("good: %v, obstacles: %+v", c.Good(), c.Obstacles)
			}
			var b bytes.Buffer
			if err := c.WriteText(&b, false, false); err != nil || !strings.Contains(b.String(), "the running kernel: 7.3.4 #1 SMP, build ID 0123456789ab\n") && old.Host.Running != nil {
				t.Errorf("expected the kernels to be named: %v\n%s", err, b.String())
			}
			for _, f := range c.Figures {
				if f.Why != tt.why {
					t.Fatalf("%s: expected it not to be comparable for %q, found %q", f.Name, tt.why, f.Why)
				}
			}
		})
	}
}

// TestRunningIsSaid: every writer says that runs were repeated, not boots.
func TestRunningIsSaid(t *testing.T) {
	for name := range longWriters() {
		got := string(render(t, name, running(t)))
		for _, want := range []string{"running kernel", "loads the module again", "governor performance"} {
			if !strings.Contains(strings.Join(strings.Fields(got), " "), want) {
				t.Errorf("%s: expected %q:\n%s", name, want, got)
			}
		}
	}
}
