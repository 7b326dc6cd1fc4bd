// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// kvmGetStatsFD is a request, from linux/kvm.h.
const kvmGetStatsFD = 0xaece

// statsHeader is struct kvm_stats_header, statsDesc struct kvm_stats_desc
// without the name that follows it.
type (
	statsHeader struct{ Flags, NameSize, Count, ID, Descs, Data uint32 }
	statsDesc   struct {
		Flags          uint32
		Exponent       int16
		Size           uint16
		Offset, Bucket uint32
	}
)

// flushes returns how often each vCPU has flushed its TLB.
func (p *pathVM) flushes() ([]uint64, error) {
	var out []uint64
	at := int64(0)
	for i, vcpu := range p.vcpus {
		fd, err := request(vcpu, kvmGetStatsFD, 0)
		if err != nil {
			return nil, fmt.Errorf("KVM_GET_STATS_FD of vCPU %d: %w", i, err)
		}
		if i == 0 {
			at, err = findStat(fd, "tlb_flush")
		}
		var value [8]byte
		if err == nil {
			_, err = unix.Pread(fd, value[:], at)
		}
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return nil, fmt.Errorf("statistics of vCPU %d: %w", i, err)
		}
		out = append(out, binary.LittleEndian.Uint64(value[:]))
	}
	return out, nil
}

// findStat returns where in the file of statistics the one of this name is.
func findStat(fd int, name string) (int64, error) {
	data := make([]byte, 64<<10)
	n, err := unix.Pread(fd, data, 0)
	if err != nil {
		return 0, err
	}
	return statAt(data[:n], name)
}

// statAt returns the place of a statistic in a file that begins with data.
func statAt(data []byte, name string) (int64, error) {
	var h statsHeader
	if _, err := binary.Decode(data, binary.LittleEndian, &h); err != nil {
		return 0, err
	}
	size := uint64(binary.Size(statsDesc{})) + uint64(h.NameSize)
	for i := range uint64(h.Count) {
		at := uint64(h.Descs) + i*size
		if at+size > uint64(len(data)) {
			break
		}
		var d statsDesc
		used, err := binary.Decode(data[at:at+size], binary.LittleEndian, &d)
		if err != nil {
			return 0, err
		}
		if found, _, _ := bytes.Cut(data[at+uint64(used):at+size], []byte{0}); string(found) == name {
			return int64(h.Data) + int64(d.Offset), nil
		}
	}
	return 0, fmt.Errorf("expected a statistic %s, found none", name)
}
