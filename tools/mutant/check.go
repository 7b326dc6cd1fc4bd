// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/dirhash"

	"vcpulab/tools/cache"
	"vcpulab/tools/exit"
	"vcpulab/tools/series"
	"vcpulab/tools/verify"
	"vcpulab/tools/vm"
)

// A Complaint is something that a check finds wrong.
type Complaint struct {
	Where string `json:"where,omitempty"` // the patch, file, test or column that it is about
	Text  string `json:"text"`            // a mutant's expression is matched with both
}

// String returns "where: text".
func (c Complaint) String() string { return strings.TrimPrefix(c.Where+": "+c.Text, ": ") }

// pair is the series as it is and with a mutant.
type pair struct{ series, mutant *Specimen }

// observation is what a check found in a specimen.
type observation struct {
	Findings []Complaint `json:"findings"`
	// Splats are what the kernel complained of. What it complains of without a
	// mutant, too, kills no mutant.
	Splats  []vm.Splat `json:"splats,omitempty"`
	Details string     `json:"details,omitempty"` // for people, such as a test's output
	Seconds float64    `json:"seconds"`           // with all that had to be built
	Took    float64    `json:"took,omitempty"`    // a test's own time

	cached bool
}

// beyond returns all findings, but for complaints of the kernel that are known.
func (o *observation) beyond(known []vm.Splat, where string) []Complaint {
	all := slices.Clip(o.Findings)
	for _, s := range o.Splats {
		if !slices.ContainsFunc(known, s.Same) {
			all = append(all, Complaint{where, fmt.Sprintf("%s: %s", s.Kind, s.Title)})
		}
	}
	return all
}

type check interface {
	// inspect returns what it finds in s, which is one of p.
	inspect(ctx context.Context, s *Specimen, p pair) (*observation, error)
	// parts are what a result depends on besides the specimen and the name of
	// the check; nil says that results are not kept.
	parts(s *Specimen, p pair) ([]string, error)
}

// kindResult is the kind of the cache entries with the results of slow checks.
const kindResult = "mutant"

// run has a check inspect a specimen, one without a mutant once in a run.
func (r *Runner) run(ctx context.Context, k Killer, c check, s *Specimen, p pair) (*observation, error) {
	look := func() (*observation, error) { return r.look(ctx, k, c, s, p) }
	if s.Mutant == nil {
		key := k.String() + " of " + s.Name
		if m := p.mutant.Mutant; m.OfSeries {
			key += " for " + m.Name // or for its set
		}
		r.mu.Lock()
		if r.clean[key] == nil {
			r.clean[key] = sync.OnceValues(look)
		}
		look = r.clean[key]
		r.mu.Unlock()
	}
	return look()
}

// look has a check inspect a specimen, or returns its result from the cache.
func (r *Runner) look(ctx context.Context, k Killer, c check, s *Specimen, p pair) (*observation, error) {
	start := time.Now()
	inspect := func(ctx context.Context) (*observation, error) {
		o, err := c.inspect(ctx, s, p)
		if err != nil {
			return nil, err
		}
		o.Seconds = time.Since(start).Seconds()
		return o, nil
	}
	parts, err := c.parts(s, p)
	if err != nil {
		return nil, err
	}
	if parts == nil {
		return inspect(ctx)
	}
	id, err := s.ID()
	if err != nil {
		return nil, err
	}
	key := cache.Key(append([]string{kindResult, "2", id, k.String()}, parts...)...)
	if r.Again && s.Mutant != nil {
		if err := r.Cache.Remove(ctx, kindResult, key); err != nil {
			return nil, err
		}
	}
	o, hit, err := cache.Result(ctx, r.Cache, kindResult, key, inspect)
	if err != nil {
		return nil, err
	}
	o.cached = hit
	return o, nil
}

// sources returns a hash of the source of a check, on which its results depend, and of
// the tables and templates that are embedded in it, without tests. Directories that do
// not exist have none.
func sources(root string, dirs ...string) (string, error) {
	tree := os.DirFS(root)
	var names []string
	for _, dir := range dirs {
		found, _ := fs.Glob(tree, dir+"/*.*") // the pattern is good
		names = append(names, found...)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	return dirhash.Hash1(names, func(name string) (io.ReadCloser, error) { return tree.Open(name) })
}

// applyCheck reads the sets and applies them: all of them, and the one that a
// mutant changes alone, strictly.
type applyCheck struct{}

func (applyCheck) parts(*Specimen, pair) ([]string, error) { return nil, nil }

func (applyCheck) inspect(ctx context.Context, s *Specimen, p pair) (*observation, error) {
	_, err := s.ID()
	if p.mutant.Mutant.OfSeries && err == nil {
		own, on, readErr := s.set(ctx, p.mutant.Mutant.Set)
		if err = readErr; err == nil {
			_, err = own.Try(on, series.Options{})
			err = s.barred(exit.PatchFailed, "the set does not apply", err)
		}
	}
	if barred, ok := errors.AsType[*barredError](err); ok {
		return &observation{Findings: []Complaint{{barred.stage, s.places(barred.err.Error())}}}, nil
	}
	return &observation{}, err
}

// verifyCheck is a check of package verify. It takes seconds: results are not
// kept.
type verifyCheck struct {
	*Runner
	check verify.Check
}

func (c verifyCheck) parts(*Specimen, pair) ([]string, error) { return nil, nil }

// inspect looks at the set that a mutant changes the files of, or at what all sets
// make.
func (c verifyCheck) inspect(ctx context.Context, s *Specimen, p pair) (_ *observation, err error) {
	subject := c.Verify
	subject.Whole = c.check.Whole
	m := p.mutant.Mutant
	subject.Series, err = s.all, s.err
	switch {
	case m.OfSeries && !c.check.Whole:
		subject.Set, subject.Rival = m.Set, c.Rival != "" && m.Set == c.Rival
		subject.Series, subject.Base, err = s.set(ctx, m.Set)
	case err == nil && c.check.Tree && s == p.mutant && !m.OfSeries && !m.Revert:
		subject.Base = c.patched // to apply one patch is to apply them all
		subject.Series = m.change
	}
	if err != nil {
		return nil, err
	}
	report, err := verify.Run(ctx, []*verify.Submission{&subject}, []verify.Check{c.check}, "")
	if err != nil {
		return nil, err
	}
	res := report.Checks[0]
	if res.Status == verify.NotRun {
		_, err := subject.Series.Try(subject.Base, series.Options{})
		return nil, cmp.Or(s.barred(exit.PatchFailed, "the set does not apply", err), report.Err())
	}
	o := &observation{}
	for _, f := range res.Findings {
		o.Findings = append(o.Findings, Complaint{Text: f.String()})
	}
	return o, nil
}

// runOthers returns what the checks that read the sets find in a mutant and not in
// the sets as they are: another check than the named one may catch it. Those of
// single sets are of no use for a mutant of the tree, whose patch has no proper
// message. Checks that fail to run are left out.
func (r *Runner) runOthers(ctx context.Context, p pair) (found []Complaint, err error) {
	for _, c := range verify.Checks() {
		if !p.mutant.Mutant.OfSeries && !c.Whole {
			continue
		}
		k, check := Killer{Name: Verify + " " + c.Name}, verifyCheck{r, c}
		mutated, err := r.run(ctx, k, check, p.mutant, p)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil || len(mutated.Findings) == 0 {
			continue
		}
		if clean, err := r.run(ctx, k, check, p.series, p); err != nil || len(clean.Findings) > 0 {
			continue
		}
		for _, f := range mutated.Findings {
			found = append(found, Complaint{k.String(), f.String()})
		}
	}
	return found, ctx.Err()
}

// The kinds of check.
const (
	Apply    = "apply"    // reads the series and applies it strictly
	Verify   = "verify"   // reads the series, and the tree that it makes
	Matrix   = "matrix"   // compiles KVM for a column of ci/matrix
	Selftest = "selftest" // runs one of KVM's selftests
)

// configDefault is the configuration of the kernels that are tested first.
const configDefault = "default"

// A Killer names the check that must catch a mutant.
type Killer struct {
	Name  string // all of what follows in a line
	Kind  string
	Check string // of package verify
	// Column is of the build matrix. Each says that every patch is compiled for it
	// that the mutant changes, not the last one alone.
	Column string
	Each   bool
	Config string // of the kernel that a selftest runs on
	Test   string // the name of the test
	Args   []string
}

// ParseKiller reads the name of a check:
//
//	apply                        the series cannot be read or does not apply
//	verify NAME                  a check of vcpulab verify
//	matrix COLUMN                a compile error or a new warning of KVM
//	matrix COLUMN each           the same, after each patch that is changed
//	selftest CONFIG TEST ARG...  a selftest fails, or the kernel complains
//
// CONFIG is that of an x86-64 kernel, or another architecture's name for the
// default one of that.
func ParseKiller(text string) (Killer, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Killer{}, fmt.Errorf("%q names no check", text)
	}
	k := Killer{Name: strings.Join(words, " "), Kind: words[0]}
	args := words[1:]
	switch {
	case k.Kind == Apply && len(args) == 0:
	case k.Kind == Verify && len(args) == 1:
		k.Check = args[0]
	case k.Kind == Matrix && len(args) == 1:
		k.Column = args[0]
	case k.Kind == Matrix && len(args) == 2 && args[1] == "each":
		k.Column, k.Each = args[0], true
	case k.Kind == Selftest && len(args) > 1:
		k.Config, k.Test, k.Args = args[0], args[1], slices.Clip(args[2:])
	default:
		return Killer{}, fmt.Errorf("%q names no check: expected %q, %q, %q, %q or %q", text,
			Apply, Verify+" NAME", Matrix+" COLUMN", Matrix+" COLUMN each", Selftest+" CONFIG TEST [ARG...]")
	}
	return k, nil
}

// String returns the name that ParseKiller reads.
func (k Killer) String() string { return k.Name }

// MarshalText implements [encoding.TextMarshaler].
func (k Killer) MarshalText() ([]byte, error) { return []byte(k.Name), nil }

// Fast tells whether a check needs no other kernel than the default one.
func (k Killer) Fast() bool { return k.Kind != Selftest || k.Config == configDefault }

// What checks take, in order: seconds, a minute, a kernel and a guest, and the same
// with one that is ten times as slow.
const (
	costRead = iota
	costCompile
	costGuest
	costDebug
)

// cost orders checks by what they take.
func (k Killer) cost() int {
	switch k.Kind {
	case Matrix:
		return costCompile
	case Selftest:
		if k.Fast() {
			return costGuest
		}
		return costDebug
	}
	return costRead
}

// Fast tells whether the mutant is one of the fast ones.
func (m *Mutant) Fast() bool { return !m.Slow && m.KilledBy.Fast() }
