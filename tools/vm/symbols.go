// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"debug/elf"
	"strconv"
)

// maxSymbol is the longest function that an address is counted to, in bytes,
// when the symbol carries no size.
const maxSymbol = 64 << 10

// symbolAt names the function of a kernel that lies at addr, a hexadecimal
// number with 0x. It is "" when the kernel is no vmlinux with symbols or has
// none there: an address of a module or of a program.
func symbolAt(kernel, addr string) string {
	pc, err := strconv.ParseUint(addr, 0, 64)
	if err != nil {
		return ""
	}
	f, err := elf.Open(kernel)
	if err != nil {
		return ""
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return ""
	}
	name, start := "", uint64(0)
	for _, s := range symbols {
		size := s.Size
		if size == 0 {
			size = maxSymbol
		}
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Value <= pc && pc-s.Value < size && s.Value >= start {
			name, start = s.Name, s.Value
		}
	}
	return name
}
