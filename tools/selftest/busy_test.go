// SPDX-License-Identifier: GPL-2.0-only

package selftest

import "testing"

func TestBusyAt(t *testing.T) {
	tests := map[string]struct {
		loadavg string
		cpus    int
		want    string
	}{
		"busy":        {"14.50 18.05 17.86 21/433 19301\n", 2, " (this machine is busy: a load of 14.5 on 2 processors)"},
		"two guests":  {"4.61 2.05 1.86 5/433 19301\n", 2, ""},
		"large":       {"14.50 18.05 17.86 21/433 19301\n", 16, ""},
		"not to read": {"", 2, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := busyAt(tc.loadavg, tc.cpus); got != tc.want {
				t.Errorf("expected %q, found %q", tc.want, got)
			}
		})
	}
}
