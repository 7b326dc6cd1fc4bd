// SPDX-License-Identifier: GPL-2.0-only

package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
	"vcpulab/tools/arch"
	"vcpulab/tools/cache"
	"vcpulab/tools/kbuild"
	"vcpulab/tools/results"
	"vcpulab/tools/vm"
)

// broken is a measurement that is broken on purpose: nothing of it is a result.
type broken struct {
	name   string
	loops  string // the module
	params measure.Params
	says   string // why
}

// measureBroken expects all measurements to fail for their reasons. They share a guest,
// which takes longer to boot than each of them. A probe may miss calls by accident:
// then it is another try that tells.
func measureBroken(t *testing.T, c *cache.Cache, k *kbuild.Kernel, all []broken) {
	t.Helper()
	for try := 1; len(all) > 0; try++ {
		var again []broken
		for i, out := range runInGuest(t, c, k, all) {
			b, err := all[i], all[i].draw(out)
			switch {
			case err != nil && strings.Contains(err.Error(), b.says):
				t.Run(b.name, func(t *testing.T) { t.Logf("try %d: %v", try, err) })
			case errors.Is(err, wire.ErrProbeMissed) && try < 4:
				again = append(again, b)
			default:
				t.Run(b.name, func(t *testing.T) { t.Errorf("expected an error that says %q, found %v", b.says, err) })
			}
		}
		all = again
	}
}

// runInGuest runs measurements one after the other, and returns what each has sent.
func runInGuest(t *testing.T, c *cache.Cache, k *kbuild.Kernel, all []broken) (out []string) {
	t.Helper()
	kvm, err := k.ModulePath(vm.KVMModule(arch.X86_64(), vm.TCG))
	if err != nil {
		t.Fatal(err)
	}
	files := []vm.File{withinFile(t)}
	job := wire.Job{Exec: &wire.Exec{}, Mounts: []string{"tmpfs", "tracefs", "debugfs"}}
	for i, b := range all {
		measured, err := json.Marshal(wire.Job{Measure: &b.params})
		if err != nil {
			t.Fatal(err)
		}
		module, does := fmt.Sprintf("broken/%d.ko", i), fmt.Sprintf("broken/%d.json", i)
		files = append(files, vm.File{Path: module, Mode: 0o644, Host: b.loops}, vm.File{Path: does, Mode: 0o644, Data: measured})
		job.Exec.Programs = append(job.Exec.Programs, wire.Program{
			Name: b.name, Path: "/bin/within", Args: []string{"measure", "/" + module, "/" + does}, MaxOutput: 8 << 20,
		})
	}

	m := machine(Candidate{Built: k}, Plan{Method: results.ICount})
	_, err = vm.Boot(t.Context(), c, m, vm.Guest{
		Job: job, Modules: []vm.Module{{Host: kvm}}, ModuleDir: filepath.Join(k.Dir, "modules"), Files: files,
	}, vm.Options{Timeout: time.Hour, Silence: 10 * time.Minute, KeepDir: t.TempDir(), OnRecord: func(r wire.Record) error {
		if r.Test != nil {
			out = append(out, r.Test.Output)
		}
		return nil
	}})
	if err != nil || len(out) != len(all) {
		t.Fatalf("expected %d measurements, found %d, error %v", len(all), len(out), err)
	}
	return out
}

// draw draws the figures of what was sent, as of a boot.
func (b broken) draw(out string) error {
	boot := results.Boot{Which: results.Which{Kernel: "base", Method: results.ICount}}
	dec := wire.NewDecoder(strings.NewReader(out))
	for {
		rec, err := dec.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w, in\n%s", err, out)
		}
		if rec.End != nil && rec.End.Message != "" {
			return rec.End
		}
		addSample(&boot, nil, rec)
	}
	if err := boot.Complete(b.params); err != nil {
		return err
	}
	r := results.Results{Kernels: []results.Kernel{{Name: "base"}}, Boots: []results.Boot{boot}}
	return r.Draw()
}
