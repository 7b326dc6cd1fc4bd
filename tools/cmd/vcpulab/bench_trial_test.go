// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"testing"
)

// TestShowTrialFailed: a trial that failed has no results to count.
func TestShowTrialFailed(t *testing.T) {
	failed := errors.New("the kernel did not boot")
	if err := (&lab{}).showTrial(nil, failed); !errors.Is(err, failed) {
		t.Errorf("expected %v, found %v", failed, err)
	}
}
