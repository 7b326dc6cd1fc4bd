// SPDX-License-Identifier: GPL-2.0-only

package measure

// The buckets of a histogram, as in buckets.h of the probes.
const (
	bucketShift = 4
	bucketSteps = 1 << bucketShift
	// NumBuckets is how many buckets there are.
	NumBuckets = (64 - bucketShift + 1) * bucketSteps
)

// Bounds returns the smallest and the largest value of a bucket: a power of two has
// 16 of them, a value below 16 one of its own.
func Bounds(bucket int) (low, high uint64) {
	if bucket < bucketSteps {
		return uint64(bucket), uint64(bucket)
	}
	shift := bucket>>bucketShift - 1
	low = uint64(bucketSteps+bucket&(bucketSteps-1)) << shift
	return low, low + 1<<shift - 1
}
