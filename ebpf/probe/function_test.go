// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"errors"
	"strings"
	"testing"

	"vcpulab/ebpf/wire"
)

// TestFunctionCount: calls that were not seen by themselves are no result.
func TestFunctionCount(t *testing.T) {
	for name, tc := range map[string]struct {
		count functionCount
		want  string // "" if it is a result
	}{
		"none":         {functionCount{}, ""},
		"all returned": {functionCount{entries: 7, returns: 7}, ""},
		"one did not":  {functionCount{entries: 7, returns: 6}, "7 began and 6 returned"},
		"recursive":    {functionCount{entries: 7, returns: 6, nested: 1}, "the function calls itself, or interrupts call it"},
	} {
		err := tc.count.check()
		if tc.want == "" && err != nil || tc.want != "" && (!errors.Is(err, wire.ErrProbeMissed) || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: expected %q, found %v", name, tc.want, err)
		}
	}
}
