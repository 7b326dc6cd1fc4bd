// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"os"
	"runtime"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
)

// envWait is set where tools/bench runs this test in a guest, to the function whose
// wait is one of another one.
const envWait = "VCPULAB_TEST_WAIT"

// TestNestedWait waits for a grace period in an ioctl of a VM, by a function that
// calls its expedited form: that is one wait. The guest has the module of
// testdata/waits, a page of which waits when KVM reads the ioctl's argument from it.
func TestNestedWait(t *testing.T) {
	outer := os.Getenv(envWait)
	page, ok := map[string]int64{"synchronize_rcu": 0, "synchronize_srcu": 1}[outer]
	if !ok {
		t.Skipf("NOT RUN: %s is not set: this test runs in a guest that a test of tools/bench boots", envWait)
	}
	if outer == "synchronize_rcu" {
		if err := os.WriteFile("/sys/kernel/rcu_expedited", []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		t.Fatal(err)
	}
	defer stats.Close()
	p, err := Attach(Creations, measure.Break{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()

	dev, err := os.OpenFile("/dev/waits", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	size := os.Getpagesize()
	arg, err := unix.Mmap(int(dev.Fd()), page*int64(size), size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer kvm.Close()
	const createVM, setUserMemoryRegion = 0xae01, 0x4020ae46
	vm, _, errno := unix.Syscall(unix.SYS_IOCTL, kvm.Fd(), createVM, 0)
	if errno != 0 {
		t.Fatal(errno)
	}

	// The programs sort into the buckets that Go has. KVM does not know the ioctl
	// with which they are asked, and fails it.
	const askBucket = 0x7600
	for b := range measure.NumBuckets {
		low, high := measure.Bounds(b)
		for _, v := range []uint64{low, high} {
			_, _, _ = unix.Syscall(unix.SYS_IOCTL, vm, askBucket, uintptr(v))
			var got uint64
			if err := p.coll.Variables[bpfVarAskedBucket].Get(&got); err != nil || got != uint64(b) {
				t.Fatalf("expected %d in bucket %d, found it in %d, %v", v, b, got, err)
			}
		}
	}

	if err := p.Watch(unix.Gettid()); err != nil {
		t.Fatal(err)
	}
	// An empty slot that is not there cannot be deleted; that comes after the wait.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, vm, setUserMemoryRegion, uintptr(unsafe.Pointer(&arg[0])))
	s, err := p.NextSpan()
	if err != nil {
		t.Fatal(err)
	}

	// Whether synchronize_srcu() really calls the other one is up to the compiler,
	// which may inline it.
	inner, err := p.coll.Programs[outer+"_expedited_exit"].Stats()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s() called its expedited form %d times", outer, inner.RunCount)
	if outer == "synchronize_rcu" && inner.RunCount == 0 {
		t.Errorf("expected %s() to call its expedited form, found that it did not", outer)
	}
	for w, name := range measure.Waits {
		want := uint64(0)
		if name == outer {
			want = 1
		}
		if s.Waits[w] != want || (s.WaitNanos[w] > 0) != (want > 0) {
			t.Errorf("%s: expected %d waits, found %d, %d ns", name, want, s.Waits[w], s.WaitNanos[w])
		}
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}
