// SPDX-License-Identifier: GPL-2.0-only

// Package pin fetches the kernel that the series is made against and knows
// that it is that kernel.
//
// A pin is a TOML file: a version, the sources where it can come from in the
// order in which they are tried, and git's blob id of every file that the
// series touches or builds on. Whichever source it comes from, the content of
// these files is what is verified, when it is unpacked and at each later use.
//
// [Pin.Fetch] gives the pinned tree, [UserTree] a tree of the user's own in
// its stead.
package pin
