// SPDX-License-Identifier: GPL-2.0-only

// Package wire is what the program that starts a guest and the program that
// runs inside it say to each other: a Job goes in as one JSON file in the
// initramfs, Records come out as lines of JSON over a virtio-serial port.
//
// A run counts only with its End record. End carries the number of records
// that were sent, every record its own number, so a line that was lost, cut
// or doubled is noticed and is never taken for a result.
package wire
