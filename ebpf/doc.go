// SPDX-License-Identifier: GPL-2.0-only

// Package ebpf has nothing but the test that what is generated in the packages
// below it, eBPF objects and guest code, is what their sources make.
package ebpf
