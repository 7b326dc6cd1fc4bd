// SPDX-License-Identifier: GPL-2.0-only

package mutant

import (
	"fmt"
	"slices"
	"strings"
)

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
	// Name is all of what follows in a line.
	Name string
	Kind string
	// Check is the name of a check of package verify.
	Check string
	// Column is the name of a column of the build matrix. Each says that every
	// patch is compiled for it that the mutant changes, not the last one alone.
	Column string
	Each   bool
	// Config is the configuration of the kernel that a selftest runs on, Test
	// is the test's name and Args are its arguments.
	Config string
	Test   string
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
