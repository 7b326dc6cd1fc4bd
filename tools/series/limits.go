// SPDX-License-Identifier: GPL-2.0-only

package series

// Limits on what is read. They are far above any series that people send, and
// low enough that no input makes the program run out of memory.
const (
	// MaxMailFile is the size of a file of patches, in bytes. In memory its
	// lines take up to 50 times as much.
	MaxMailFile = 8 << 20
	// MaxSeries is what all patches of a series may have together, in bytes.
	MaxSeries = 32 << 20
	// MaxMails is the number of mails in a series.
	MaxMails = 2000
	// MaxTreeFile is the size of a file of the tree that a patch touches,
	// before and after, in bytes.
	MaxTreeFile = 64 << 20
	// MaxTouched is what all touched files may have together, in bytes.
	MaxTouched = 512 << 20

	maxHeaderLines = 2000
	maxHeaderBytes = 1 << 20
	maxInBody      = 64 << 10 // bytes of a header field in a body
	maxPresent     = 200      // patches that are looked for in a tree
	maxPathLength  = 4095
)
