# SPDX-License-Identifier: GPL-2.0-only
#
# The commands that people type. Each calls the one program that does the
# work: bin/vcpulab --help shows what else it can do.

VCPULAB := bin/vcpulab

# A kernel tree of your own in the place of the pinned one; it is only read.
export KERNEL_SRC

# The program, its tests and the guest's program are compiled alike, so that
# Go's library is compiled once: it takes longer than the rest.
export CGO_ENABLED := 0
export GOFLAGS := $(strip $(GOFLAGS) -trimpath -buildvcs=false)

# For test-kernel: an architecture that can be booted, or all of them.
ARCH ?= x86_64

.PHONY: help fuzz bench-ebpf compare-figures bench-full test test-kernel test-kernel-quick test-kernel-debug test-kernel-kcsan test-kernel-params test-powerpc test-kvm test-kvm-quick apply-patches \
	verify onto build build-matrix build-last mutants mutants-fast doctor generate regenerate-patches ci clean $(VCPULAB)

help:
	@sed -n 's/^## //p' Makefile

## make bench-ebpf     measure the patched kernel against the pinned one, from nothing
bench-ebpf: $(VCPULAB)
	$(VCPULAB) install build boot
	$(VCPULAB) bench

## make compare-figures  compare what was measured last with the figures that the patches quote
compare-figures: $(VCPULAB)
	$(VCPULAB) bench compare --fail-if-worse ci/verify/figures.json out/results.json

## make bench-full     measure all variants at all sizes, and who waits with a slow tick
bench-full: $(VCPULAB)
	$(VCPULAB) install build boot
	$(VCPULAB) bench --full

## make test           run the project's own tests
test: $(VCPULAB)
	$(VCPULAB) install build boot shell bpf verify generate selftests test
	$(VCPULAB) test

## make fuzz           run each fuzz target of the parsers for a minute
fuzz: $(VCPULAB)
	$(VCPULAB) install test
	$(VCPULAB) test --fuzz 60s

## make test-kernel    run KVM's selftests on both kernels and compare: ARCH=NAME or all
test-kernel: $(VCPULAB)
	$(VCPULAB) install build boot selftests --arch $(ARCH)
	$(VCPULAB) selftest --arch $(ARCH)

## make test-kernel-quick  only those that touch the lookup of vCPUs, and those of the series
test-kernel-quick: $(VCPULAB)
	$(VCPULAB) install build boot selftests --arch $(ARCH)
	$(VCPULAB) selftest --quick --arch $(ARCH)

## make test-kernel-debug  the same on kernels with KASAN, lockdep, kmemleak and fault injection
test-kernel-debug: $(VCPULAB)
	$(VCPULAB) install build boot selftests
	$(VCPULAB) build --config debug
	$(VCPULAB) test ./tools/selftest --run TestCheckersOff
	$(VCPULAB) selftest --config debug

## make test-kernel-kcsan  the same on kernels that look for data races
test-kernel-kcsan: $(VCPULAB)
	$(VCPULAB) install build boot selftests
	$(VCPULAB) build --config kcsan
	$(VCPULAB) test ./tools/selftest --run TestCheckersOff
	$(VCPULAB) selftest --config kcsan

## make test-kernel-params  the quick ones with KVM's modules set to other than their defaults
test-kernel-params: $(VCPULAB)
	$(VCPULAB) install build boot selftests --arch all
	$(VCPULAB) selftest --quick --param kvm_amd.npt=0
	$(VCPULAB) selftest --quick --param kvm_amd.nested=0
	$(VCPULAB) selftest --quick --param kvm.tdp_mmu=0
	$(VCPULAB) selftest --quick --arch arm64 --param kvm-arm.mode=nvhe
	$(VCPULAB) selftest --quick --arch arm64 --param kvm-arm.mode=protected --known ci/known-protected.toml

## make test-powerpc   look vCPUs up by ID on powerpc, for which the kernel has no KVM selftests; has to fail on the unpatched kernel
test-powerpc: $(VCPULAB)
	$(VCPULAB) install build boot shell --arch ppc64le
	GOARCH=ppc64le go build -o out/powerpc ./ci/powerpc
	$(VCPULAB) shell patched --arch ppc64le -- $(IN_GUEST) <out/powerpc
	$(VCPULAB) -q shell base --arch ppc64le -- $(IN_GUEST) <out/powerpc 2>&1 | grep 'H_PROD of vCPU 0x100000000: expected -4, found 0'

# Runs a program in a guest, given as standard input.
IN_GUEST = sh -c 'cat >/tmp/program && chmod +x /tmp/program && exec /tmp/program'

## make test-kvm-quick  boot and test a kernel with KVM, in the same way as test-kvm
test-kvm-quick: $(VCPULAB)
	$(VCPULAB) install build boot selftests
	$(VCPULAB) selftest --only vcpu_id_test --out out/quick
	$(VCPULAB) nested -- $(VCPULAB) selftest --only vcpu_id_test --accel kvm --out out/kvm

## make test-kvm       boot, measure and test with KVM: in a guest that has one, if this machine's does not work
test-kvm: $(VCPULAB)
	$(VCPULAB) install build boot selftests
	$(VCPULAB) bench --quick --out out/quick
	$(VCPULAB) selftest --only vcpu_id_test --out out/quick
	$(VCPULAB) nested -- $(VCPULAB) boot base --accel kvm
	$(VCPULAB) nested -- $(VCPULAB) bench --quick --accel kvm --rounds 1 --trial --out out/kvm
	$(VCPULAB) nested -- $(VCPULAB) selftest --only vcpu_id_test --accel kvm --out out/kvm
	$(VCPULAB) nested --always --headers -- $(VCPULAB) bench --running --quick --rounds 1 --trial

## make apply-patches  apply the patches and print where the patched tree is
apply-patches: $(VCPULAB)
	$(VCPULAB) install build
	$(VCPULAB) apply

## make verify         check the patches as a maintainer would
verify: $(VCPULAB)
	$(VCPULAB) install verify generate
	$(VCPULAB) verify

## make onto           say on which other kernels that Debian packages the sets apply
onto: $(VCPULAB)
	$(VCPULAB) onto 7.2.13 7.3-rc7 6.12.107

## make build          build both kernels
build: $(VCPULAB)
	$(VCPULAB) install build
	$(VCPULAB) build

## make build-matrix   compile KVM for every architecture, patch by patch
build-matrix: $(VCPULAB)
	$(VCPULAB) install build matrix
	$(VCPULAB) build --objects --arch all --each

## make build-last     the same after the last patch alone
build-last: $(VCPULAB)
	$(VCPULAB) install build matrix
	$(VCPULAB) build --objects --arch all

## make mutants        test the checks: each fault of ci/mutants must be caught
mutants: $(VCPULAB)
	$(VCPULAB) install build boot selftests verify generate matrix
	$(VCPULAB) mutants

## make mutants-fast   those of them that take little time
mutants-fast: $(VCPULAB)
	$(VCPULAB) install build boot selftests verify generate matrix
	$(VCPULAB) mutants --fast

## make doctor         say what this machine lacks
doctor: $(VCPULAB)
	$(VCPULAB) doctor

## make generate       compile the eBPF programs again
generate: $(VCPULAB)
	$(VCPULAB) install bpf
	go generate ./...

## make regenerate-patches  make the patches again that semantic patches generate
regenerate-patches: $(VCPULAB)
	$(VCPULAB) install generate
	$(VCPULAB) generate --write

## make ci             everything: hours; what CI runs each time is .ci/run alone
ci:
	.ci/run all

## make clean          remove the program and the results, not the cache
clean:
	rm -rf bin out

$(VCPULAB):
	@go build -o $@ ./tools/cmd/vcpulab
