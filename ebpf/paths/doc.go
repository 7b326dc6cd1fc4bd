// SPDX-License-Identifier: GPL-2.0-only

// Package paths finds out what the lookups of vCPUs are worth where KVM uses
// them: Probe brackets a function of KVM that a guest calls again and again,
// Payload is that guest.
//
// The generated files are committed: building the project takes neither clang
// nor an assembler.
package paths

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -cflags "-O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu" bpf paths.bpf.c -- -fdebug-prefix-map=$PWD=.
//go:generate sed -i "1i // SPDX-License-Identifier: GPL-2.0-only" bpf_bpfel.go
//go:generate gcc -m32 -c -o payload.o payload.S
//go:generate objcopy -O binary -j .text payload.o payload.bin
//go:generate rm payload.o
