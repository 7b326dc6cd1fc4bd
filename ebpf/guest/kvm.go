// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// KVM's requests, from linux/kvm.h.
const (
	kvmCreateVM   = 0xae01
	kvmCreateVCPU = 0xae41
)

// virtualMachine is a VM of KVM with nothing but vCPUs.
type virtualMachine struct {
	fd    int
	vcpus []int
}

// newVM creates a VM without vCPUs.
func newVM() (*virtualMachine, error) {
	kvm, err := unix.Open("/dev/kvm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/kvm: %w", err)
	}
	defer unix.Close(kvm)
	fd, err := request(kvm, kvmCreateVM, 0)
	if err != nil {
		return nil, fmt.Errorf("KVM_CREATE_VM: %w", err)
	}
	return &virtualMachine{fd: fd}, nil
}

// createVCPU creates the next vCPU with this ID.
func (v *virtualMachine) createVCPU(id int) error {
	fd, err := request(v.fd, kvmCreateVCPU, id)
	if err != nil {
		return fmt.Errorf("KVM_CREATE_VCPU with ID %d, after %d vCPUs: %w", id, len(v.vcpus), err)
	}
	v.vcpus = append(v.vcpus, fd)
	return nil
}

// close destroys the VM, unless somebody else holds it too.
func (v *virtualMachine) close() error {
	var errs []error
	for _, fd := range v.vcpus {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(append(errs, unix.Close(v.fd))...)
}

// request is ioctl(2) for requests that return a descriptor.
func request(fd int, req, arg int) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(req), uintptr(arg))
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}
