// SPDX-License-Identifier: GPL-2.0-only

// Package selftest runs the kernel's own KVM selftests on kernels in guests
// and compares the results of two kernels, test by test, by name.
//
// [Run] spreads the tests of a [Kernel] over guests, the longest first. How
// a test ended is an [Outcome]; a guest that dies takes with it the test that
// was running and no other: the rest goes on in a fresh guest. [Compare] puts
// two lists of results side by side. A test or subtest that was good on the
// base kernel and is not on the patched one is a regression, and so is one
// that is missing.
//
// The tests print TAP, or have only an exit status. [ParseTAP] reads TAP in the
// dialects of the kernel; see Documentation/dev-tools/ktap.rst
// and tools/testing/selftests/kselftest.h in the kernel's tree.
package selftest
