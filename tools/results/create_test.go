// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"math"
	"testing"
)

// TestGrowth is told a line from a parabola.
func TestGrowth(t *testing.T) {
	for name, tt := range map[string]struct {
		vcpus int
		cost  func(i int) int64
		want  float64 // 0 if there is none
	}{
		"too few":                  {63, func(int) int64 { return 1 }, 0},
		"flat":                     {64, func(int) int64 { return 44_000 }, 1},
		"flat, first ones dear":    {1024, func(i int) int64 { return 44_000 + int64(max(0, 100-i))*10_000 }, 1},
		"flat, interrupts":         {1024, func(i int) int64 { return 44_000 + int64(i%7/6)*9_000 }, 1},
		"a scan":                   {1024, func(i int) int64 { return int64(i) }, 959.5 / 191.5},
		"a scan of what is dearer": {1024, func(i int) int64 { return 44_000 + 164*int64(i) }, (44_000 + 164*959.5) / (44_000 + 164*191.5)},
		"getting cheaper":          {64, func(i int) int64 { return int64(1000 / (1 + i/32)) }, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			var nanos []int64
			for i := range tt.vcpus {
				nanos = append(nanos, tt.cost(i))
			}
			got, ok := growth(nanos)
			if ok != (tt.want != 0) || math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("expected %v, found %v (%v)", tt.want, got, ok)
			}
		})
	}
}
