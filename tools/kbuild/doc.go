// SPDX-License-Identifier: GPL-2.0-only

// Package kbuild builds kernels, modules against them, and the kernel's own
// KVM selftests.
//
// [Builder.Build] makes a [Kernel] of a source tree and a configuration. What
// is built is found again by what went into it: the tree, the configuration
// fragments, the compiler and this package's own way of building. A kernel
// that was built before is returned at once.
//
// # The work area
//
// Trees that were made from the same base share a work area for each
// configuration: a folder src, whose files are hard links to the base's, and
// a folder out, where kbuild works. To build another tree of the same base,
// only the files in which it differs from what stands in src are replaced, by
// files with a new modification time, so that kbuild rebuilds what depends on
// them and nothing else. A file beside them says which tree stands in src; it
// is written before the first file is replaced, so that an interruption is
// seen and mended by the next build. What was built is copied from out to the
// cache.
//
// # Objects
//
// [Builder.Objects] compiles KVM alone, for architectures whose kernels are
// not booted here, with W=1 and sparse, and returns what they said. It has
// work areas of its own, so that of a series patch by patch only what each
// patch changes is compiled. make says nothing of what it does not make: a
// ledger beside the objects has what was said of each when it was made.
// Nothing is linked; what one of KVM's modules takes from another that does not
// export it is read off their objects.
//
// # Modules from outside
//
// A [Kernel] does not need its work area any more: it holds what a module
// from outside is built against (configuration, generated headers, the
// programs that kbuild runs, Module.symvers), as a distribution's package of
// kernel headers does. [Builder.BuildModule] uses that and the kernel's source
// tree; both are only read. So modules can be built against any kernel in the
// cache, whatever stands in the work area, and several at a time.
//
// # Reproducible
//
// Time, user, host and version number in the image are fixed, the paths of
// source and work area are mapped away, and the type information is made by
// one thread. The same tree, fragments and tools give the same bytes in
// another cache folder, built from nothing or on top of another kernel:
// [Builder.Reproduce] checks that.
package kbuild
