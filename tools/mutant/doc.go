// SPDX-License-Identifier: GPL-2.0-only

// Package mutant tests the checks of the sets: each mutant is the sets with one
// deliberate fault, and names the check that must catch it.
//
// A mutant is a file of ci/mutants, see [Parse]. It changes either the tree that
// all sets make, or the files of one of them. Or it is the sets without one of
// their patches, see [LoadReverts]. It is killed if the check that it names finds
// what it is said to find, and finds nothing in the sets as they are. A check that
// never fails proves nothing; a mutant that survives says which one that is.
//
// Faults whose effect depends on luck are made to show: the mutant itself
// widens the window, or is looked for by a check that reads the code.
package mutant
