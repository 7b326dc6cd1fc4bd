// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"fmt"
	"strings"
	"testing"
)

func TestExcerpt(t *testing.T) {
	text := strings.Repeat("0123456789", 7)
	for limit := 1; limit <= 100; limit++ {
		for _, piece := range []int{1, 3, 7, 64, 100} {
			e := NewExcerpt(limit)
			for rest := text; rest != ""; {
				n := min(piece, len(rest))
				if k, err := e.Write([]byte(rest[:n])); k != n || err != nil {
					t.Fatalf("Write: %d, %v", k, err)
				}
				rest = rest[n:]
			}
			half := max(limit/2, 1)
			want := text
			if dropped := len(text) - 2*half; dropped > 0 {
				want = text[:half] + fmt.Sprintf("\n[... %d bytes left out ...]\n", dropped) + text[len(text)-half:]
			}
			if got := e.String(); got != want {
				t.Fatalf("limit %d, pieces of %d: expected %q, found %q", limit, piece, want, got)
			}
		}
	}
}
