// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"os"
	"strings"
)

// KVMModule returns the module that brings KVM, "" where it is built in. TCG
// has AMD's virtualization only; under KVM it is that of this machine.
func KVMModule(arch Arch, accel Accel) string {
	if arch.Name != X86_64().Name {
		return ""
	}
	if accel == KVM {
		if info, err := os.ReadFile("/proc/cpuinfo"); err == nil && strings.Contains(string(info), " vmx ") {
			return "kvm-intel"
		}
	}
	return "kvm-amd"
}
