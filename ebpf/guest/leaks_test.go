// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// leak is as mm/kmemleak.c prints one.
const leak = `unreferenced object 0xffff88800a5c2000 (size 512):
  comm "vcpu_id_test", pid 52, jiffies 4294944017
  hex dump (first 32 bytes):
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
  backtrace (crc 0):
    __kmalloc_cache_noprof+0x2b1/0x350
    kvm_alloc_vcpu_id_chunk+0x5d/0xb0 [kvm]
`

func TestLeakLines(t *testing.T) {
	one := strings.Split(strings.TrimSuffix(leak, "\n"), "\n")
	one[0] = "kmemleak: unreferenced object 0xffff88800a5c2000 (size 512) after a"
	many := leakLines(strings.Repeat(leak, maxLeaks+3), "a")
	tests := map[string]struct {
		got, want []string
	}{
		"none":         {leakLines("", "a"), nil},
		"one":          {leakLines(leak, "a"), one},
		"two":          {leakLines(leak+leak, "a"), append(append([]string(nil), one...), one...)},
		"another form": {leakLines("what\n", "a"), []string{"kmemleak: report after a", "what"}},
		"many":         {many[len(many)-2:], []string{one[len(one)-1], "kmemleak: and 3 more after a"}},
		"all of many":  {[]string{fmt.Sprint(len(many))}, []string{fmt.Sprint(maxLeaks*len(one) + 1)}},
	}
	for name, tc := range tests {
		if d := cmp.Diff(tc.want, tc.got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", name, d)
		}
	}
}
