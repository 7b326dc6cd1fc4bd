// SPDX-License-Identifier: GPL-2.0-only

// Package mutant tests the checks of the series: each mutant is the series
// with one deliberate fault, and names the check that must catch it.
//
// A mutant is a file of ci/mutants, see [Parse]. It changes either the tree
// that the whole series makes, or the files of the series themselves. It is
// killed if the check that it names finds what it is said to find, and finds
// nothing in the series as it is. A check that never fails proves nothing; a
// mutant that survives says which one that is.
//
// Faults whose effect depends on luck are made to show: the mutant itself
// widens the window, or is looked for by a check that reads the code.
package mutant
