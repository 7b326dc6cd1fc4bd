// SPDX-License-Identifier: GPL-2.0-only

// Package soak runs selftests in ever new ways until two kernels differ.
//
// What a [Round] runs follows from its seed: which tests, in which order, with which
// numbers, after how long each is killed or how many of its allocations fail. What the
// processors make of it does not: a race that a round has found may need more tries of it.
package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/progress"
	"vcpulab/tools/selftest"
	"vcpulab/tools/variant"
	"vcpulab/tools/vm"
)

// Guest runs a round on a kernel, variant.Base or variant.Patched. left is shown beside
// what runs. The results are those of the tests that ended, also with an error.
type Guest func(ctx context.Context, kernel string, r Round, left string) ([]selftest.Result, error)

// Options say how long to run what.
type Options struct {
	Seed uint64 // that of the first round; each has the seed after that of the one before
	// No round starts after Time, or after so many Rounds; 0 is no bound.
	Time   time.Duration
	Rounds int
	// Tests, Ranges and Configs are what rounds are made of.
	Tests   []string
	Ranges  []Range
	Configs []Config
	Expect  selftest.Expectations
	Again   string // the command that runs such rounds, but for --seed, --rounds and --config
	Guest   Guest

	whole map[string][]vm.Splat // by the configuration, see known
}

// Result is what was run, and what was found.
type Result struct {
	Seed uint64 `json:"seed"`
	// Rounds are those that ended, and Compared those of them that ran on the base
	// kernel, too, because of what a test did on the patched one.
	Rounds   int `json:"rounds"`
	Compared int `json:"compared"`
	// Tests are those that ended in the rounds, on the patched kernel, and Interrupted
	// those of them that were killed or failed as they were to.
	Tests       int     `json:"tests"`
	Interrupted int     `json:"interrupted"`
	Seconds     float64 `json:"seconds"`
	// Unfinished says why it ended before its time, "" if it did not.
	Unfinished string      `json:"unfinished,omitempty"`
	Difference *Difference `json:"difference"` // the first one, nil if there is none
}

// Difference is a round that the kernels did not end alike.
type Difference struct {
	Round   Round  `json:"round"`
	Command string `json:"command"` // runs the round again
	selftest.Comparison
}

// Run runs rounds until one shows a difference, or until time is up. Each runs on the patched
// kernel, and on the base kernel as well if it did not end there as is best: only then can
// there be a difference. A complaint of the kernel's is none if the base kernel has it in any
// of the tests, run to their ends. The result is never nil; an error is Guest's.
func Run(ctx context.Context, o Options) (*Result, error) {
	res, start := &Result{Seed: o.Seed}, time.Now()
	o.whole = make(map[string][]vm.Splat)
	for o.Rounds == 0 || res.Rounds < o.Rounds {
		took := time.Since(start)
		if o.Time > 0 && took >= o.Time && res.Rounds > 0 {
			break
		}
		var err error
		res.Difference, err = o.round(ctx, res, o.left(res.Rounds, took))
		res.Seconds = time.Since(start).Seconds()
		if err != nil {
			if res.Unfinished = err.Error(); ctx.Err() != nil {
				res.Unfinished = "interrupted"
			}
			return res, err
		}
		res.Rounds++
		if res.Difference != nil {
			break
		}
	}
	return res, nil
}

// left says how much is left after so many rounds, or in words that this takes.
func (o Options) left(rounds int, took time.Duration) string {
	text := fmt.Sprintf("round %d", rounds+1)
	if o.Rounds > 0 {
		text += fmt.Sprintf(" of %d", o.Rounds)
	}
	if o.Time > 0 {
		text += fmt.Sprintf(", %v left", max(0, o.Time-took).Round(time.Minute))
	}
	return text
}

func (o Options) round(ctx context.Context, res *Result, left string) (*Difference, error) {
	r := NewRound(o.Seed+uint64(res.Rounds), o.Tests, o.Ranges, o.Configs)
	patched, err := o.Guest(ctx, variant.Patched, r, left)
	if err != nil {
		return nil, err
	}
	for _, t := range patched {
		if selftest.IsChecker(t.Name) {
			continue
		}
		res.Tests++
		if t.Outcome == selftest.Interrupted {
			res.Interrupted++
		}
	}
	if !slices.ContainsFunc(patched, suspect) {
		return nil, nil
	}

	base, err := o.Guest(ctx, variant.Base, r, left)
	if err != nil {
		return nil, err
	}
	res.Compared++
	compared := selftest.Compare(base, patched, o.Expect)
	if compared.Err() != nil && len(complaints(patched)) > 0 {
		// A test that fails without the patches does not come to what the kernel
		// complains of later; another one may.
		e := o.Expect
		if e.Splats, err = o.known(ctx, r.Config, left); err != nil {
			return nil, err
		}
		compared = selftest.Compare(base, patched, e)
	}
	if compared.Err() == nil {
		return nil, nil
	}
	again := fmt.Sprintf("%s --config %s --seed %d --rounds 1", o.Again, r.Config, r.Seed)
	return &Difference{Round: r, Command: again, Comparison: compared}, nil
}

// known returns what the base kernel complains of in all tests, which run once for that.
func (o Options) known(ctx context.Context, config, left string) ([]vm.Splat, error) {
	if _, ran := o.whole[config]; !ran {
		all := Round{Config: config, CPUs: minCPUs}
		for _, name := range o.Tests {
			all.Steps = append(all.Steps, Step{Test: name})
		}
		results, err := o.Guest(ctx, variant.Base, all, left+", all tests")
		if err != nil {
			return nil, err
		}
		o.whole[config] = complaints(results)
	}
	return o.whole[config], nil
}

func complaints(results []selftest.Result) (all []vm.Splat) {
	for _, r := range results {
		all = append(all, r.Splats...)
	}
	return all
}

// suspect tells whether a result could be worse than that of another kernel.
func suspect(r selftest.Result) bool {
	return len(r.Splats) > 0 || r.Outcome != selftest.Pass && r.Outcome != selftest.Interrupted
}

// WriteText writes the difference, and what was run.
func (r *Result) WriteText(w io.Writer) error {
	found := "no difference"
	if d := r.Difference; d != nil {
		found = "1 difference"
		fmt.Fprintf(w, "DIFFERENCE: %v\n\n", d.Round)
		if err := d.Comparison.WriteText(w, ""); err != nil {
			return err
		}
		fmt.Fprintf(w, "to repeat it: %s\n\n", d.Command)
	}
	if r.Unfinished != "" {
		found += ", and not finished: " + r.Unfinished
	}
	_, err := fmt.Fprintf(w, "seed %d: %s in %v, of %s, %d interrupted; %s on the base kernel, too: %s\n", r.Seed,
		progress.Count(r.Rounds, "round"), time.Duration(r.Seconds*float64(time.Second)).Round(time.Second),
		progress.Count(r.Tests, "test"), r.Interrupted, progress.Count(r.Compared, "round"), found)
	return err
}

// Err returns an error that stands for exit.CheckFailed if there is a difference.
func (r *Result) Err() error {
	if r.Difference == nil {
		return nil
	}
	return exit.With(exit.CheckFailed, errors.New("soak: the patched kernel is worse: "+r.Difference.Err().Error()))
}
