// SPDX-License-Identifier: GPL-2.0-only

// Package running is about the kernel that runs on the machine: whether it can be
// measured, what it and the machine are like, and the module with the loops in
// it, which it loads and unloads.
//
// All that is read of the machine is files. A System says where they are, so
// that a directory can stand in for a machine in tests.
package running
