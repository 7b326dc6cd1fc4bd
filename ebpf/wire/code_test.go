// SPDX-License-Identifier: GPL-2.0-only

package wire

import (
	"errors"
	"fmt"
	"testing"
)

// TestCodes sends each error over the boundary and gets it back.
func TestCodes(t *testing.T) {
	for code, text := range texts {
		err := fmt.Errorf("get: %w: 3 events", code)
		if got := CodeOf(err); got != code || err.Error() != "get: "+text+": 3 events" {
			t.Errorf("%s: found the code %q in %q", code, got, err)
		}
		if got := code.Err(); !errors.Is(got, code) {
			t.Errorf("%s: found %v", code, got)
		}
	}
	if got := CodeOf(errors.New("something else")); got != "" {
		t.Errorf("expected no code, found %q", got)
	}
	for _, code := range []Code{"", "of another version"} {
		if err := code.Err(); err != nil {
			t.Errorf("%q: expected no error, found %v", code, err)
		}
	}
}
