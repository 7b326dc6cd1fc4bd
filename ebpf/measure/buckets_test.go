// SPDX-License-Identifier: GPL-2.0-only

package measure

import "testing"

// TestBuckets looks whether buckets follow each other without a gap.
func TestBuckets(t *testing.T) {
	next := uint64(0)
	for b := range NumBuckets {
		low, high := Bounds(b)
		if low != next || high < low {
			t.Fatalf("bucket %d: expected it to begin at %d, found %d to %d", b, next, low, high)
		}
		if high > 16 && float64(high-low) > float64(low)/bucketSteps {
			t.Errorf("bucket %d: %d to %d is wider than a sixteenth", b, low, high)
		}
		next = high + 1
	}
	if next != 0 {
		t.Errorf("expected the last bucket to end with the largest number, found %d", next-1)
	}
}
