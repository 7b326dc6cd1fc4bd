// SPDX-License-Identifier: GPL-2.0-only

// Package wire is the protocol between the host and the program in a guest: a Job
// goes in as a JSON file in the initramfs, Records come out as lines of JSON over a
// virtio-serial port. Errors cross as codes, see Code.
//
// A run counts only with its End record. End carries the number of records that
// were sent, every record its own number, so that lost, cut and duplicate lines are
// noticed and never taken for a result.
package wire
