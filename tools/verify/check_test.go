// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"testing"

	"vcpulab/tools/exit"
)

func TestChoose(t *testing.T) {
	all, err := Choose()
	if err != nil || len(all) != len(looks) {
		t.Fatalf("expected all of %d, found %d, %v", len(looks), len(all), err)
	}
	names := make(map[string]bool)
	for _, c := range all {
		if c.Name == "" || c.Explain == "" || c.Run == nil || names[c.Name] {
			t.Errorf("%q: expected a name of its own, an explanation and a function", c.Name)
		}
		names[c.Name] = true
	}
	// The order is that of Checks, whatever is asked for.
	some, err := Choose("generated", "mails", "mails")
	if err != nil || len(some) != 2 || some[0].Name != "mails" {
		t.Errorf("expected two, mails first, found %v, %v", some, err)
	}
	if _, err := Choose("mails", "nothing"); exit.Code(err) != exit.Usage {
		t.Errorf("expected exit code %d, found %v", exit.Usage, err)
	}
}
