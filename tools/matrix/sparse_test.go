// SPDX-License-Identifier: GPL-2.0-only

package matrix

import (
	"bytes"
	"strings"
	"testing"
)

func TestWithoutSparse(t *testing.T) {
	const head = "# arch: s390x\n# base: defconfig\n"
	tests := map[string]struct{ text, why string }{
		"with it":         {head, ""},
		"without, a why":  {head + "# sparse: no, it crashes\n", "it crashes"},
		"no reason given": {head + "# sparse: no\n", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := parse("x.config", test.text, false)
			if err != nil {
				t.Fatal(err)
			}
			if c.WithoutSparse != test.why {
				t.Errorf("got %q, want %q", c.WithoutSparse, test.why)
			}
		})
	}
}

// TestSaysWithoutSparse: what sparse did not look at does not look checked.
func TestSaysWithoutSparse(t *testing.T) {
	r := &Report{Columns: []string{"a", "b"}, WithoutSparse: map[string]string{"b": "it crashes"}}
	var out bytes.Buffer
	if err := r.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "b: without sparse: it crashes\n") || strings.Contains(out.String(), "a: without") {
		t.Errorf("got\n%s", &out)
	}
}
