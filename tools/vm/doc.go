// SPDX-License-Identifier: GPL-2.0-only

// Package vm boots a kernel in QEMU with one static program as init, streams
// back what that program finds, and tells apart the ways in which that can
// fail.
//
// Boot is the usual entry point: it builds the guest program and the initramfs
// and calls Run. A Machine is what is started. Results come as records (package
// wire) over virtio-serial; the serial console is kept for the log and searched
// for the kernel's complaints. Everything that goes wrong in the guest, the
// kernel or QEMU is a *Fault, which carries the last lines of the console and
// the command that repeats the run.
package vm
