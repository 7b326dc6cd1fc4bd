// SPDX-License-Identifier: GPL-2.0-only

package soak

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"vcpulab/tools/selftest"
	"vcpulab/tools/tomlfile"
)

// Config is a configuration of kernels.
type Config struct {
	Name   string
	Faults bool // they have allocations fail on demand
}

// Range is an argument of a test that is a number.
type Range struct {
	Test string `toml:"test"`
	Flag string `toml:"flag"` // comes before the number
	From int    `toml:"from"`
	To   int    `toml:"to"`
}

// LoadRanges reads a TOML file of tables [[argument]]. An error stands for exit.Usage.
func LoadRanges(name string) ([]Range, error) {
	var file struct{ Argument []Range }
	if err := tomlfile.Load(name, &file); err != nil {
		return nil, fmt.Errorf("read which numbers tests take: %w", err)
	}
	for i, r := range file.Argument {
		if r.Test == "" || r.Flag == "" || r.From < 1 || r.To <= r.From {
			return nil, tomlfile.Invalid(name, fmt.Errorf("argument %d: expected a test, a flag, and a number from 1 to a larger one, found %q, %q, %d and %d",
				i+1, r.Test, r.Flag, r.From, r.To))
		}
	}
	return file.Argument, nil
}

// Round is what runs in one guest, one test after the other.
type Round struct {
	Seed   uint64 `json:"seed"` // what all of it follows from
	Config string `json:"config"`
	CPUs   int    `json:"cpus"` // of the guest
	Steps  []Step `json:"steps"`
}

// Step is a test of a round.
type Step struct {
	Test string   `json:"test"`
	Args []string `json:"args,omitempty"`
	// Clock is the time that seeds the test's random numbers, in seconds since 1970.
	Clock int64 `json:"clock"`
	// KillMillis is after how many milliseconds it is killed, and FailEvery one in how
	// many of its allocations fail; 0 is never.
	KillMillis int64 `json:"kill_ms,omitempty"`
	FailEvery  int   `json:"fail_every,omitempty"`
}

// Bounds of what is random.
const (
	minCPUs, maxCPUs   = 2, 4
	minTests, maxTests = 2, 5
	// Killed after 50 ms to 30 s, as often before as after 1.2 s: most take seconds.
	minKillMillis, killDoublings = 50, 9.23
	// One allocation in 20 to 2000 fails: creating a vCPU takes some 40.
	minFailEvery, failDoublings = 20, 6.64
	// firstClock is in 2020; the clock is in the years from there.
	firstClock, clocks = 1_577_836_800, 1 << 30
)

// NewRound makes the round of a seed of the tests with these names, on kernels of one of
// the configurations, which take turns. The rest of it is the same for each of them.
func NewRound(seed uint64, tests []string, ranges []Range, configs []Config) Round {
	random := rand.New(rand.NewPCG(seed, 0))
	config := configs[seed%uint64(len(configs))]
	r := Round{Seed: seed, Config: config.Name, CPUs: minCPUs + random.IntN(maxCPUs-minCPUs+1)}
	n := min(len(tests), minTests+random.IntN(maxTests-minTests+1))
	for _, i := range random.Perm(len(tests))[:n] {
		s := Step{Test: tests[i], Clock: firstClock + random.Int64N(clocks)}
		for _, a := range ranges {
			if a.Test == s.Test {
				s.Args = append(s.Args, a.Flag, strconv.Itoa(a.From+random.IntN(a.To-a.From+1)))
			}
		}

		kill := int64(minKillMillis * math.Exp2(random.Float64()*killDoublings))
		every := int(minFailEvery * math.Exp2(random.Float64()*failDoublings))
		switch what := random.IntN(10); {
		case what < 2 && config.Faults:
			// A test of which a part has failed may wait for that for ever.
			s.KillMillis, s.FailEvery = kill, every
		case what < 6:
			s.KillMillis = kill
		}
		r.Steps = append(r.Steps, s)
	}
	return r
}

// String says what runs, in the order in which it does.
func (r Round) String() string {
	var steps []string
	for _, s := range r.Steps {
		text := strings.Join(append([]string{s.Test}, s.Args...), " ")
		if s.FailEvery > 0 {
			text += fmt.Sprintf(", an allocation in %d failing", s.FailEvery)
		}
		if s.KillMillis > 0 {
			text += fmt.Sprintf(", killed after %v", s.kill())
		}
		steps = append(steps, text)
	}
	return fmt.Sprintf("seed %d, %s, %d processors: %s", r.Seed, r.Config, r.CPUs, strings.Join(steps, "; "))
}

func (s Step) kill() time.Duration { return time.Duration(s.KillMillis) * time.Millisecond }

// On returns the tests of the round, in its order, of those that were built for a kernel.
func (r Round) On(built []selftest.Test) ([]selftest.Test, error) {
	var tests []selftest.Test
	for _, s := range r.Steps {
		i := slices.IndexFunc(built, func(t selftest.Test) bool { return t.Name == s.Test })
		if i < 0 {
			return nil, fmt.Errorf("%s was not built: leave it out with --only", s.Test)
		}
		t := built[i]
		t.Args, t.Clock, t.Kill, t.FailEvery = s.Args, s.Clock, s.kill(), s.FailEvery
		tests = append(tests, t)
	}
	return tests, nil
}
