// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vcpulab/ebpf/measure"
	"vcpulab/ebpf/wire"
)

// growBeside has a VM grow whose first vCPU waits in KVM_RUN all the time.
func (m *stallMeter) growBeside(phase measure.Phase) (*measure.Growth, error) {
	vm, err := newWaitingVM(phase)
	if err != nil {
		return nil, err
	}
	w := startWaiter(vm.vcpus[0], m.params.Break.Awake)
	var growth *measure.Growth
	if err = w.settle(); err == nil {
		growth, err = m.grow(vm, phase)
	}
	if err == nil {
		// Whatever KVM asked of it, it waits again.
		err = w.settle()
	}
	return growth, errors.Join(err, w.stop(), vm.close())
}

// newWaitingVM creates a VM with a vCPU that waits as soon as it is run.
func newWaitingVM(phase measure.Phase) (*virtualMachine, error) {
	vm, err := newVM()
	if err != nil {
		return nil, err
	}
	prepare := vm.addHalted
	if phase == measure.Stuck {
		prepare = vm.addStuck
	}
	return vm, prepare()
}

// addHalted adds a vCPU that is halted: it waits for an interrupt, in KVM.
func (v *virtualMachine) addHalted() error {
	if _, err := kvmCreateIRQChip.do(v.fd, 0); err != nil {
		return err
	}
	if err := v.createVCPU(0); err != nil {
		return err
	}
	halted := uint32(3) // KVM_MP_STATE_HALTED
	return kvmSetMPState.with(v.vcpus[0], unsafe.Pointer(&halted))
}

// Of userfaultfd, from linux/userfaultfd.h.
const (
	uffdAPI             = 0xaa
	uffdioAPI           = 0xc018aa3f
	uffdioRegister      = 0xc020aa00
	uffdRegisterMissing = 1
)

// addStuck adds a vCPU whose first instruction is in memory that userspace has to
// fill, and never does.
func (v *virtualMachine) addStuck() error {
	const resetVector = 0xfffffff0 // of x86
	page := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("memory that is never filled: %w", err)
	}
	v.mapped = append(v.mapped, memory)
	if err := v.setMemory(0, 0, resetVector&^uint64(page-1), memory); err != nil {
		return err
	}
	if err := v.createVCPU(0); err != nil {
		return err
	}

	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		return fmt.Errorf("userfaultfd: %w", errno)
	}
	// Faults are held up for as long as the descriptor is open: close it with the VM.
	v.vcpus = append(v.vcpus, int(fd))
	api := struct{ api, features, ioctls uint64 }{api: uffdAPI}
	if err := (request{uffdioAPI, "UFFDIO_API"}).with(int(fd), unsafe.Pointer(&api)); err != nil {
		return err
	}
	register := struct{ start, size, mode, ioctls uint64 }{
		uint64(uintptr(unsafe.Pointer(&memory[0]))), uint64(page), uffdRegisterMissing, 0,
	}
	return request{uffdioRegister, "UFFDIO_REGISTER"}.with(int(fd), unsafe.Pointer(&register))
}

// waiter is a thread that stays in KVM_RUN.
type waiter struct {
	tid     int
	stopped atomic.Bool
	ended   chan error
}

func startWaiter(vcpu int, awake bool) *waiter {
	w, tid := &waiter{ended: make(chan error, 1)}, make(chan int)
	go func() {
		runtime.LockOSThread()
		tid <- unix.Gettid()
		for !w.stopped.Load() {
			if awake {
				sleep(settleNanos)
				continue
			}
			if _, err := kvmRun.do(vcpu, 0); !errors.Is(err, unix.EINTR) {
				w.ended <- fmt.Errorf("%w: expected the vCPU to stay in KVM_RUN, found that it came back: %v", wire.ErrPayload, err)
				return
			}
		}
		w.ended <- nil
	}()
	w.tid = <-tid
	return w
}

// settle waits until the thread sleeps in KVM_RUN.
func (w *waiter) settle() error {
	var found []byte
	for range settleTries {
		var err error
		if found, err = os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", w.tid)); err != nil {
			return err
		}
		if sleepsInRun(string(found)) {
			return nil
		}
		sleep(settleNanos)
	}
	return fmt.Errorf("%w: expected a thread that sleeps in KVM_RUN, found %q", wire.ErrPayload, found)
}

// sleepsInRun reads what a thread's file syscall says: the number of the system call in
// which the thread sleeps, and its arguments.
func sleepsInRun(syscall string) bool {
	f := strings.Fields(syscall)
	return len(f) > 2 && f[0] == strconv.Itoa(unix.SYS_IOCTL) && f[2] == fmt.Sprintf("%#x", kvmRun.number)
}

// stop takes the thread out of KVM_RUN.
func (w *waiter) stop() error {
	w.stopped.Store(true)
	for {
		// Nothing but the system call notices this signal of Go's own. One that comes
		// just before the system call does nothing.
		if err := unix.Tgkill(os.Getpid(), w.tid, unix.SIGURG); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		select {
		case err := <-w.ended:
			return err
		case <-time.After(time.Millisecond):
		}
	}
}
