// SPDX-License-Identifier: GPL-2.0-only

// Package verify looks at a series as its maintainers would, and their CI:
// without compiling or booting anything, which takes seconds.
//
// A [Check] is a small value: a name, what it looks at and why that matters,
// and a function. [Checks] has all of them, and [Run] runs some on a
// [Submission], which is a series and the tree that it is for. What comes of it
// is a [Report]: a [Finding] for each thing that is wrong, and a status for
// each check. A check that could not be run, because a program is missing or
// because the series does not apply, has not passed.
package verify
