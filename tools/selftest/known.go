// SPDX-License-Identifier: GPL-2.0-only

package selftest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/pattern"
	"vcpulab/tools/tomlfile"
	"vcpulab/tools/vm"
)

// Proof says that a test shows what a patch is for: it has to fail on a
// kernel without the patch, and to pass on one with it.
type Proof struct {
	Test    string `toml:"test"`    // the test's name in the kernel's Makefile
	Patch   string `toml:"patch"`   // the patch's subject, without a prefix
	Machine string `toml:"machine"` // what the machine has to be like, as in vm.Machine.Options
}

// LoadProofs reads a TOML file of tables [[proof]]. An error stands for exit.Usage.
func LoadProofs(name string) ([]Proof, error) {
	var file struct{ Proof []Proof }
	if err := tomlfile.Load(name, &file); err != nil {
		return nil, fmt.Errorf("read which tests prove which patches: %w", err)
	}
	for i, p := range file.Proof {
		if p.Test == "" || p.Patch == "" {
			return nil, tomlfile.Invalid(name, fmt.Errorf("proof %d: expected a test and a patch, found %q and %q", i+1, p.Test, p.Patch))
		}
		if slices.ContainsFunc(file.Proof[:i], func(q Proof) bool { return q.Test == p.Test }) {
			return nil, tomlfile.Invalid(name, fmt.Errorf("proof %d: duplicate test %s", i+1, p.Test))
		}
	}
	return file.Proof, nil
}

// decide tells whether a test has proved what it is for. A time-out proves
// nothing: the host may have been busy.
func (p Proof) decide(base, patched *Result) (Change, []string) {
	why := fmt.Sprintf("it has to fail without, and to pass with, %q: ", p.Patch)
	switch {
	case patched.Outcome != Pass: // its reason is shown elsewhere
		why += fmt.Sprintf("on the patched kernel the outcome is: %s", patched.Outcome)
	case base == nil:
		why += "there is no result on the base kernel"
	case base.Outcome != Fail && base.Outcome != Crash:
		why += strings.TrimSuffix(fmt.Sprintf("on the base kernel the outcome is: %s: %s", base.Outcome, base.Reason), ": ")
	default:
		return Proved, []string{fmt.Sprintf("it fails without %q, as it must", p.Patch)}
	}
	return Unproved, []string{why}
}

// Expectations are what a comparison has to show besides that nothing gets worse.
type Expectations struct {
	// Added are the names of the tests that the series adds. One that is bad on the
	// patched kernel fails the comparison even if it is bad on the base kernel, too.
	Added      []string
	Proofs     []Proof        // have to fail on the base kernel
	Incomplete string         // why the run ended early, "" if it did not
	History    History        // how the tests ended in earlier runs
	Splats     []vm.Splat     // complaints of the base kernel that may be missing in its results
	Known      []KnownFailure // that the user expects
}

// decide compares one test. known are the splats of the base kernel.
func (e Expectations) decide(name string, base, patched *Result, known []vm.Splat) (Change, []string) {
	switch {
	case patched == nil && e.Incomplete != "":
		return NotRun, nil
	case patched == nil:
		return Vanished, []string{"there is no result on the patched kernel"}
	case IsChecker(name) && patched.Outcome.bad():
		return Unchecked, []string{"that it is silent means nothing"}
	}

	var why []string
	for _, s := range patched.Splats {
		title := strings.TrimSuffix(s.Title+": "+s.About, ": ")
		if s.Caller != "" {
			title += ", called by " + s.Caller
		}
		switch {
		case s.Kind == vm.CheckerFailed:
			why = append(why, fmt.Sprintf("%s: that it is silent means nothing: %s", s.Kind, title))
		case !slices.ContainsFunc(known, s.Same):
			why = append(why, fmt.Sprintf("%s, which the base kernel did not have: %s", s.Kind, title))
		}
	}
	complaints := len(why)
	change := New
	if base != nil {
		change = compareOutcomes(base.Outcome, patched.Outcome)
		if base.Outcome.finished() && patched.Outcome.finished() {
			why = append(why, compareSubtests(base.Sub, patched.Sub, patched.LeftOut > 0)...)
		}
	}
	own := slices.Contains(e.Added, name)
	if own && patched.Outcome.bad() {
		why = append(why, "a test that comes with the series has to pass with it")
	}
	listed := slices.IndexFunc(e.Known, func(k KnownFailure) bool { return k.matches(name) })
	if listed >= 0 && complaints == 0 && !own {
		// Of a list that is out of date people are told.
		if patched.Outcome == Pass && len(why) == 0 {
			return change, []string{"it is listed as a known failure, and passes"}
		}
		if patched.Outcome.bad() {
			return Known, []string{e.Known[listed].Why}
		}
	}
	if len(why) > 0 {
		return Regressed, why
	}

	// What cannot run, with the parameters that were asked for, proves nothing.
	if listed >= 0 && patched.Outcome == Skip && (base == nil || base.Outcome == Skip) {
		return Known, []string{e.Known[listed].Why}
	}
	if i := slices.IndexFunc(e.Proofs, func(p Proof) bool { return p.Test == name }); i >= 0 {
		return e.Proofs[i].decide(base, patched)
	}
	return change, nil
}

// KnownFailure is a test that the user expects to fail on this machine, or to be skipped
// although it has to prove something.
type KnownFailure struct {
	Test string `toml:"test"` // a pattern of [path.Match] for its name
	Why  string `toml:"why"`
}

func (k KnownFailure) matches(name string) bool {
	ok, err := path.Match(k.Test, name)
	return err == nil && ok
}

// LoadKnown reads a TOML file of tables [[known]]. An error stands for exit.Usage.
func LoadKnown(name string) ([]KnownFailure, error) {
	var file struct{ Known []KnownFailure }
	if err := tomlfile.Load(name, &file); err != nil {
		return nil, fmt.Errorf("read which tests are known to fail: %w", err)
	}
	for i, k := range file.Known {
		err := pattern.Check([]string{k.Test})
		if k.Test == "" || k.Why == "" {
			err = fmt.Errorf("expected a test and why it fails, found %q and %q", k.Test, k.Why)
		}
		if err != nil {
			return nil, tomlfile.Invalid(name, fmt.Errorf("known %d: %w", i+1, err))
		}
	}
	return file.Known, nil
}

// Races are the data races that a kernel may have.
type Races struct {
	// Apart are functions that create, publish or look up a vCPU: wildcards in
	// Race.Between do not match them.
	Apart []string `toml:"apart"`
	// Known are races of the kernel without the series, which KCSAN finds in some runs.
	Known []Race `toml:"race"`
}

// Race is a known race.
type Race struct {
	// Between are the functions of both sides as KCSAN names them, in any
	// order. They are patterns of [path.Match].
	Between []string `toml:"between"`
	// Why says what it is, and why the series has no part in it.
	Why string `toml:"why"`
}

// LoadRaces reads a TOML file. An error stands for exit.Usage.
func LoadRaces(name string) (*Races, error) {
	var races Races
	if err := tomlfile.Load(name, &races); err != nil {
		return nil, fmt.Errorf("read which data races are known: %w", err)
	}
	for i, r := range races.Known {
		err := pattern.Check(r.Between)
		if len(r.Between) != 2 || r.Why == "" {
			err = fmt.Errorf("expected two functions and a reason, found %q and %q", r.Between, r.Why)
		} else if err == nil && !slices.ContainsFunc(r.Between, literal) {
			err = fmt.Errorf("expected the whole name of a function at least on one side, found %q", r.Between)
		}
		if err != nil {
			return nil, tomlfile.Invalid(name, fmt.Errorf("race %d: %w", i+1, err))
		}
	}
	return &races, nil
}

func literal(pattern string) bool { return !strings.ContainsAny(pattern, `*?[\`) }

// raceTitle is how KCSAN begins a report. A side is a function and, if it is in
// one, its module; of a race with devices there is one side.
var raceTitle = regexp.MustCompile(`^(?:BUG: )?KCSAN: data-race in ([\w.]+)( \[\w+\])?(?: / ([\w.]+)( \[\w+\])?)?`)

var inKVM = regexp.MustCompile(`^ \[kvm(?:_\w+)?\]$`)

// Overlook is Options.Overlook for kernels with KCSAN. It tells whether a splat is a known
// race, a false one, or one of which neither side is in KVM's modules: the rest of the
// kernel has many, and KVM's selftests are not about them.
func (r *Races) Overlook(s vm.Splat) bool {
	m := raceTitle.FindStringSubmatch(s.Title)
	if m == nil {
		return false
	}
	one, oneModule, other, otherModule := m[1], m[2], m[3], m[4]
	if !inKVM.MatchString(oneModule) && !inKVM.MatchString(otherModule) || withItself(s) {
		return true
	}
	return slices.ContainsFunc(r.Known, func(known Race) bool {
		a, b := known.Between[0], known.Between[1]
		return r.matches(a, one) && r.matches(b, other) || r.matches(a, other) && r.matches(b, one)
	})
}

// withItself tells whether both sides are the same task. KCSAN stopped it in
// the middle of an access and it was preempted: its own preempt notifier, which
// loads or puts the vCPU, may access the same variable, which is not a race.
// Task 0 is another one on each processor.
func withItself(s vm.Splat) bool {
	return len(s.By) == 2 && s.By[0] == s.By[1] && strings.HasPrefix(s.By[0], "task ") && s.By[0] != "task 0"
}

func (r *Races) matches(pattern, function string) bool {
	if literal(pattern) {
		return pattern == function
	}
	ok, err := path.Match(pattern, function)
	return err == nil && ok && !slices.Contains(r.Apart, function)
}
