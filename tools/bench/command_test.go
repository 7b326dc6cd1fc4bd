// SPDX-License-Identifier: GPL-2.0-only

package bench

import "testing"

func TestWithoutDirectories(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"program":      {"/usr/bin/qemu -nodefaults", "qemu -nodefaults"},
		"file":         {"qemu -kernel /home/me/k/vmlinux -m 1", "qemu -kernel vmlinux -m 1"},
		"property":     {"-chardev file,id=r,path=/tmp/x/records.jsonl", "-chardev file,id=r,path=records.jsonl"},
		"comma":        {"-chardev file,id=r,path=/tmp/a,,b/records.jsonl,append=on", "-chardev file,id=r,path=records.jsonl,append=on"},
		"quoted":       {"-append 'rdinit=/init console=ttyS0'", "-append 'rdinit=/init console=ttyS0'"},
		"no directory": {"qemu -cpu max,+svm", "qemu -cpu max,+svm"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := withoutDirectories(tt.in); got != tt.want {
				t.Errorf("expected %q, found %q", tt.want, got)
			}
		})
	}
}
