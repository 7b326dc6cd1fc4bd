// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"errors"
	"fmt"
	"testing"
)

// TestCodes sends each error over the boundary and gets it back.
func TestCodes(t *testing.T) {
	seen := make(map[Code]bool)
	for _, c := range codes {
		if seen[c.code] || c.code == "" {
			t.Errorf("code %q: duplicate or empty", c.code)
		}
		seen[c.code] = true
		if got := CodeOf(fmt.Errorf("get: %w: 3 events", c.err)); got != c.code {
			t.Errorf("%v: expected the code %q, found %q", c.err, c.code, got)
		}
		if got := c.code.Err(); got != c.err {
			t.Errorf("%s: expected %v, found %v", c.code, c.err, got)
		}
	}
	if got := CodeOf(errors.New("something else")); got != "" {
		t.Errorf("expected no code, found %q", got)
	}
	if err := Code("of another version").Err(); err != nil {
		t.Errorf("expected no error, found %v", err)
	}
}
