// SPDX-License-Identifier: GPL-2.0-only

// Package probe holds the eBPF programs that measure, and loads them.
//
// There are two groups: Loops brackets the loops of vcpuloops.ko, Creations brackets
// KVM_CREATE_VCPU and counts the grace periods that it waits for.
//
// The generated files are committed: building the project needs no clang.
package probe

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -cflags "-O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu" -type loop_event -type create_event bpf probe.bpf.c -- -fdebug-prefix-map=$PWD=.
//go:generate sed -i "1i // SPDX-License-Identifier: GPL-2.0-only" bpf_bpfel.go
