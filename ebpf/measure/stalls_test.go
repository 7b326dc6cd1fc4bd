// SPDX-License-Identifier: GPL-2.0-only

package measure

import (
	"slices"
	"testing"
)

// TestSlotsChange: slots change where the container grows, and where it does
// not to compare with.
func TestSlotsChange(t *testing.T) {
	var grows, changes []int
	for n := 1; n <= 600; n++ {
		if TableFull(n - 1) {
			grows = append(grows, n)
		}
		if SlotsChange(n) {
			changes = append(changes, n)
		}
	}
	if want := []int{2, 9, 17, 33, 65, 129, 257, 513}; !slices.Equal(grows, want) {
		t.Errorf("expected growth at %v, found %v", want, grows)
	}
	if want := []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 33, 34, 65, 66, 129, 130, 257, 258, 513, 514}; !slices.Equal(changes, want) {
		t.Errorf("expected changes at %v, found %v", want, changes)
	}
}

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
