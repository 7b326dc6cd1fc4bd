// SPDX-License-Identifier: GPL-2.0-only

// Package stalls finds out who waits while a VM grows: the thread that creates
// vCPUs and changes memslots, and those that run vCPUs.
//
// Probe holds the eBPF programs and their loader, Payload what a vCPU runs
// while it is watched: it looks at the time stamp counter between two exits
// and keeps a histogram of its own, which is the second witness.
//
// The generated files are committed: building the project takes neither clang
// nor an assembler.
package stalls

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -cflags "-O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu" -type span -type thread -type gaps bpf stalls.bpf.c -- -fdebug-prefix-map=$PWD=.
//go:generate sed -i "1i // SPDX-License-Identifier: GPL-2.0-only" bpf_bpfel.go
//go:generate gcc -m32 -c -o payload.o payload.S
//go:generate objcopy -O binary -j .text payload.o payload.bin
//go:generate rm payload.o
