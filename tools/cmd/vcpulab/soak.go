// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"al.essio.dev/pkg/shellescape"

	"vcpulab/tools/arch"
	"vcpulab/tools/exit"
	"vcpulab/tools/selftest"
	"vcpulab/tools/soak"
)

type soakCmd struct {
	seriesFlags
	Minutes int      `help:"Start no round after so many minutes of them; 0 is no bound." default:"60" placeholder:"N"`
	Rounds  int      `help:"Run no more rounds than that (default: no bound)." placeholder:"N"`
	Seed    uint64   `help:"What all that is random follows from, but for what the processors make of it (default: another one each time)." placeholder:"SEED"`
	Config  []string `help:"The kernels of which rounds take turns: debug, kcsan or default." enum:"default,debug,kcsan" default:"debug,kcsan" placeholder:"NAME"`
	Only    []string `help:"Names of tests; * and ? are wild. May be given again." placeholder:"PATTERN"`
	Plan    bool     `help:"Print what rounds would run, and run nothing (one round without --rounds)."`
	Accel   string   `help:"kvm or tcg (default: what was found to work)." enum:"auto,kvm,tcg" default:"auto" env:"ACCEL"`
	Out     string   `help:"Directory for the logs of the last round." default:"out/soak" placeholder:"DIR"`
}

// soakSilence is how long a guest may be silent. One that only boots slowly, as beside other
// work, must not end hours of rounds.
const soakSilence = 5 * time.Minute

// Run prints the first difference, and what was run.
func (c soakCmd) Run(ctx context.Context, l *lab) error {
	if c.Minutes < 0 || c.Rounds < 0 || c.Minutes+c.Rounds == 0 {
		return exit.With(exit.Usage, fmt.Errorf("soak: expected a minute or more, or --rounds, found --minutes %d --rounds %d", c.Minutes, c.Rounds))
	}
	sel := selftestCmd{kernelFlags: kernelFlags{seriesFlags: c.seriesFlags, Config: configDebug}, Arch: arch.X86_64().Name, Quick: true, Only: c.Only, Accel: c.Accel}
	plans, err := sel.plans(ctx, l)
	if err != nil {
		return err
	}
	p := plans[0]
	// A test that has to fail without the series may be killed before.
	p.expect.Proofs = nil
	if c.Seed == 0 {
		c.Seed = uint64(rand.Uint32())
	}
	o := soak.Options{Seed: c.Seed, Time: time.Duration(c.Minutes) * time.Minute, Rounds: c.Rounds, Tests: p.patched, Expect: p.expect, Again: c.again(l)}
	if o.Ranges, err = soak.LoadRanges(l.path("ci", "soak.toml")); err != nil {
		return err
	}
	for _, name := range c.Config {
		o.Configs = append(o.Configs, soak.Config{Name: name, Faults: name == configDebug})
	}
	if c.Plan {
		var rounds []soak.Round
		for i := range max(1, c.Rounds) {
			rounds = append(rounds, soak.NewRound(o.Seed+uint64(i), o.Tests, o.Ranges, o.Configs))
		}
		return l.print(rounds, "{{range .}}{{.}}\n{{end}}")
	}

	out, err := outDir(c.Out)
	if err != nil {
		return err
	}
	if o.Guest, err = c.guest(ctx, l, sel, p, out); err != nil {
		return err
	}
	l.log.Printf("soak: seed %d; Ctrl-C ends it with what was done until then", c.Seed)
	res, err := soak.Run(ctx, o)
	if res.Difference != nil && !l.JSON {
		l.printf("logs: %s\n\n", out)
	}
	return errors.Join(err, l.show(res, res.WriteText), res.Err())
}

// guest builds the kernels and returns what runs rounds on them.
func (c soakCmd) guest(ctx context.Context, l *lab, sel selftestCmd, p selftestPlan, out string) (soak.Guest, error) {
	kernels := make(map[string][]selftest.Kernel)
	options := make(map[string]selftest.Options)
	for _, config := range c.Config {
		sel.Config = config
		built, err := l.kernels(ctx, sel.kernelFlags, p.arch.Name, nil)
		if err != nil {
			return nil, err
		}
		v, err := l.accel(ctx, c.Accel, built[0].Built)
		if err != nil {
			return nil, err
		}
		if kernels[config], err = sel.kernels(ctx, l, p, built, v.Accel); err != nil {
			return nil, err
		}
		// Of what is found in one of many rounds, another try would not have it again. Looking
		// for leaks takes longer than most tests.
		opts := selftest.Options{Accel: v.Accel, InOrder: true, LeaksLast: true, Retries: -1, Silence: soakSilence, Log: l.log, Source: l.root}
		if err := l.guestOptions(config, &opts); err != nil {
			return nil, err
		}
		options[config] = opts
	}

	return func(ctx context.Context, kernel string, r soak.Round, left string) ([]selftest.Result, error) {
		i := slices.IndexFunc(kernels[r.Config], func(k selftest.Kernel) bool { return k.Name == kernel })
		k, opts := kernels[r.Config][i], options[r.Config]
		var err error
		if k.Tests, err = r.On(k.Tests); err != nil {
			return nil, err
		}
		k.Name, k.Skipped = fmt.Sprintf("%s, %s, seed %d, %s", kernel, r.Config, r.Seed, left), nil
		opts.CPUs, opts.KeepDir = r.CPUs, filepath.Join(out, kernel)
		return selftest.Run(ctx, l.cache, k, opts)
	}, nil
}

// again is the command that runs rounds in the same way.
func (c soakCmd) again(l *lab) string {
	words := []string{"bin/vcpulab", "soak"}
	for _, flag := range [][2]string{{"--base", l.Base}, {"--series", c.Series}, {"--set", c.Set}, {"--through", c.Through}} {
		if flag[1] != "" {
			words = append(words, flag[0], flag[1])
		}
	}
	for _, name := range c.Only {
		words = append(words, "--only", name)
	}
	return shellescape.QuoteCommand(words)
}
