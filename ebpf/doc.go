// SPDX-License-Identifier: GPL-2.0-only

// Package ebpf holds the test that the generated files of the packages below it, eBPF
// objects and guest code, match their sources.
package ebpf
