// SPDX-License-Identifier: GPL-2.0-only

// Package matrix compiles KVM, patch by patch, for every architecture.
//
// The columns are the files of ci/matrix, see [Load]: an architecture, a
// compiler and a configuration each. The rows are the tree without the series
// and then one for each patch, see [Run]. A cell is good if KVM compiles and
// if neither the compiler, at W=1, nor sparse says anything that they do not
// say of the row before
// that did compile. Warnings are compared as sets of file and message: a
// count would hide that one came for another that went.
package matrix
