// SPDX-License-Identifier: GPL-2.0-only

// Package payload is the code that vCPUs run while KVM is measured, and the memory
// of a VM with that code in it.
//
// The generated file is committed: building the project takes no assembler.
package payload

//go:generate gcc -m32 -c -o payload.o payload.S
//go:generate objcopy -O binary -j .text payload.o payload.bin
//go:generate rm payload.o
