// SPDX-License-Identifier: GPL-2.0-only

// Package probe holds the eBPF programs that measure, loads them and makes samples
// of what they saw.
//
// A Probe has the programs of one Group: Creations brackets the ioctls of a VM,
// Lookups the loops of vcpuloops.ko too, Stalls says what threads waited for, and
// Paths brackets functions of KVM one at a time.
//
// The generated files are committed: building the project takes no clang. They have
// no build constraint, so that the program of the guest builds for big-endian
// processors too, where nothing is measured and loading the object fails.
package probe

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -cflags "-O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu" -type loop_event -type span -type span_kind -type thread -type gaps -type gap_class -type wait -type deferral bpf probe.bpf.c -- -fdebug-prefix-map=$PWD=.
//go:generate sed -i -e "1i // SPDX-License-Identifier: GPL-2.0-only" -e "/^.*go:build /d" bpf_bpfel.go
