// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/progress"
)

// compile makes the tree's objects in the area, and returns what was found and
// where make's output is.
func (o *objectBuild) compile(ctx context.Context, a *area, step *progress.Step) (*Objects, string, error) {
	start := time.Now()
	step.Update("preparing the source tree")
	kconfig := slices.ContainsFunc(slices.Concat(a.state.Changed, a.state.Doubtful, o.changed), isKconfig)
	if _, err := a.stand(ctx, o.tree, o.changed); err != nil {
		return nil, "", err
	}
	book, err := openLedger(a, o.folders())
	if err != nil {
		return nil, "", err
	}
	m := o.make(a)
	m.step = step
	if err := os.Remove(m.log); err != nil && !os.IsNotExist(err) {
		return nil, "", err
	}
	step.Update("configuring")
	final, err := o.configure(ctx, a, *m, kconfig)
	if err != nil {
		return nil, "", err
	}
	said, err := book.record(m, a.src, func() error { return a.run(ctx, m, false) })
	if err != nil {
		return nil, "", err
	}
	hidden, err := unexported(a.out, o.folders())
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", o.doing(), err)
	}
	return &Objects{
		Name: o.spec.Name, Tree: o.tree, Warnings: sorted(append(book.warnings(), hidden...)), Made: count(said, o.folders()), All: count(book.Targets, o.folders()),
		Seconds: time.Since(start).Seconds(), Toolchain: o.toolchain, Checker: o.checker.Version, CheckCommand: o.checker.Command,
		ConfigHash: configHash(final),
	}, m.log, nil
}

func isKconfig(name string) bool { return strings.HasPrefix(path.Base(name), "Kconfig") }

// make returns the run of make that compiles.
func (o *objectBuild) make(a *area) *makeRun {
	vars := []string{"O=" + a.out, "ARCH=" + o.spec.Arch.Make}
	vars = append(vars, o.toolchain.vars...)
	vars = append(vars, settled...)
	// Output by target: so it is known of which object a warning is.
	//
	// kernel-doc, which W=1 has kbuild run for each object, says the same for
	// all architectures: it is a check of package verify.
	vars = append(vars, "W=1", "cmd_checkdoc=", "--output-sync=target")
	if o.checker.Command != "" {
		vars = append(vars, "C=1", "CHECK="+o.checker.Command)
	}
	return &makeRun{
		doing: o.doing(), dir: a.src, vars: vars, targets: []string{"prepare", "arch/" + o.spec.Arch.Source + "/kvm/"},
		jobs: o.jobs(), env: o.env(), log: o.log(kindObjects, o.key), checked: true,
	}
}

// configure makes .config of the defconfig and the fragments, where there is
// none or a patch has changed what can be configured.
func (o *objectBuild) configure(ctx context.Context, a *area, m makeRun, kconfig bool) (Config, error) {
	name, done := filepath.Join(a.out, ".config"), filepath.Join(a.out, fileConfigured)
	if _, err := os.Stat(done); err != nil || kconfig {
		m.doing = "configure linux " + o.tree.Version + " for " + o.spec.Name
		m.targets = []string{o.spec.Defconfig}
		if err := a.run(ctx, &m, true); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(o.config.String())
			if closeErr := f.Close(); err == nil {
				err = closeErr
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.doing, err)
		}
		m.targets = []string{"olddefconfig"}
		if err := a.run(ctx, &m, true); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.doing, err)
	}
	defer f.Close()
	final, err := ParseConfig(name, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.doing, err)
	}
	if dropped := o.config.dropped(final); len(dropped) > 0 {
		explain(dropped, a.src, o.spec.Arch, final)
		return nil, &ConfigError{Arch: o.spec.Arch, Dropped: dropped}
	}
	return final, os.WriteFile(done, nil, 0o644)
}
