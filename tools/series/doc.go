// SPDX-License-Identifier: GPL-2.0-only

// Package series reads a patch series as it is mailed and applies it to a
// kernel tree.
//
// [Load] takes a directory of mails (git format-patch's output, mboxes, or both)
// and checks their numbering. [Series.Apply] makes the patched tree: first in
// memory over the files that are touched, then, when every patch applied, on
// disk. The tree is what git am makes of the same mails; what git am refuses
// is refused. More is refused than git am does where a patch does not say
// exactly what it means: index lines that do not name the content before and
// after, hunks away from their stated line, hunks without context.
//
// For a tree that is not the one that the series was made for there is
// [Options.Relocate]: hunks are then found by their context where that is
// unique.
//
// The rest of the package is about sending: [Series.Check], [Checkpatch],
// [Maintainers] and [Series.Prepare].
package series
