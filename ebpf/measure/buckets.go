// SPDX-License-Identifier: GPL-2.0-only

package measure

import "math/bits"

// The buckets of a histogram, as in buckets.h of the probes.
const (
	bucketShift = 4
	bucketSteps = 1 << bucketShift
	// NumBuckets is how many buckets there are.
	NumBuckets = (64 - bucketShift + 1) * bucketSteps
)

// Bucket returns the bucket that v is counted in: a power of two has 16 of
// them, a value below 16 one of its own.
func Bucket(v uint64) int {
	if v < bucketSteps {
		return int(v)
	}
	power := bits.Len64(v) - 1
	return (power-bucketShift+1)<<bucketShift + int(v>>(power-bucketShift))&(bucketSteps-1)
}

// Bounds returns the smallest and the largest value of a bucket.
func Bounds(bucket int) (low, high uint64) {
	if bucket < bucketSteps {
		return uint64(bucket), uint64(bucket)
	}
	shift := bucket>>bucketShift - 1
	low = uint64(bucketSteps+bucket&(bucketSteps-1)) << shift
	return low, low + 1<<shift - 1
}

// Seams returns the values at which buckets may be told apart wrongly: the
// first and the last of each.
func Seams() []uint64 {
	var all []uint64
	for b := range NumBuckets {
		low, high := Bounds(b)
		if all = append(all, low); high != low {
			all = append(all, high)
		}
	}
	return all
}
