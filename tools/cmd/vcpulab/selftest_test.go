// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"testing"

	"vcpulab/tools/exit"
)

// TestAddedBuilt: a test of the kernel's may be skipped that cannot be built, one
// of the series may not.
func TestAddedBuilt(t *testing.T) {
	unbuilt := map[string]string{"memslot_perf_test": "a.c:1: no"}
	if err := addedBuilt([]string{"vcpu_id_test"}, unbuilt); err != nil {
		t.Error(err)
	}
	if err := addedBuilt([]string{"vcpu_id_test", "memslot_perf_test"}, unbuilt); exit.Code(err) != exit.BuildFailed {
		t.Errorf("expected code %d, found %v", exit.BuildFailed, err)
	}
}
