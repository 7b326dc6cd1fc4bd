// SPDX-License-Identifier: GPL-2.0-only

// Package kbuild builds kernels, modules against them, and the kernel's own
// KVM selftests.
//
// [Builder.Build] makes a [Kernel] of a source tree and a configuration. It is
// kept in the cache under a key of everything that went into it: the tree, the
// configuration fragments, the compiler and this package's way of building. A
// kernel that was built before is returned at once.
//
// # The work area
//
// Trees that were made from the same base share a work area for each
// configuration: a directory src, whose files are hard links to the base's, and
// a directory out, where kbuild works. To build another tree of the same base,
// only the files in which it differs from what is in src are replaced, by files
// with a new modification time, so that kbuild rebuilds what depends on them and
// nothing else. A file beside them says which tree is in src. It is written
// before the first file is replaced, so that the next build notices an
// interruption and repairs it. What was built is copied from out to the cache.
//
// # Objects
//
// [Builder.Objects] compiles KVM alone, for architectures whose kernels are
// not booted here, with W=1 and sparse, and returns the warnings. It has
// work areas of its own, so that of a series patch by patch only what each
// patch changes is compiled. make prints nothing about targets that it does not
// make: the state of the work area has the warnings about each from when it was
// made. Nothing is linked; symbols that one of KVM's modules takes from another
// that does not export them are found in their objects.
//
// # External modules
//
// A [Kernel] does not need its work area any more: it has what external modules
// are built against (configuration, generated headers, the programs that kbuild
// runs, Module.symvers), as a distribution's package of kernel headers does.
// [Builder.BuildModule] uses that and the kernel's source tree; both are only
// read. So modules can be built against any kernel in the cache, whatever is in
// the work area, and several at a time.
//
// # Reproducible
//
// Time, user, host and version number in the image are fixed, the paths of
// source and work area are mapped away, and the type information is made by
// one thread. The same tree, fragments and tools give the same bytes in
// another cache directory, built from nothing or on top of another kernel:
// TestRealReproduce checks that.
package kbuild
