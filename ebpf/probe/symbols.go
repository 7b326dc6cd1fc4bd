// SPDX-License-Identifier: GPL-2.0-only

package probe

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Symbols knows the kernel's functions by address.
type Symbols []symbol

type symbol struct {
	address uint64
	name    string
}

// ReadSymbols reads /proc/kallsyms, without data.
func ReadSymbols(r io.Reader) (Symbols, error) {
	var all Symbols
	in := bufio.NewScanner(r)
	for in.Scan() {
		f := strings.Fields(in.Text())
		if len(f) < 3 || !strings.ContainsAny(f[1], "tTwW") {
			continue
		}
		address, err := strconv.ParseUint(f[0], 16, 64)
		if err != nil {
			return nil, fmt.Errorf("symbols of the kernel: %q: %w", in.Text(), err)
		}
		all = append(all, symbol{address, f[2]})
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("symbols of the kernel: %w", err)
	}
	slices.SortStableFunc(all, func(a, b symbol) int { return cmp.Compare(a.address, b.address) })
	return all, nil
}

// Names returns the functions of the addresses of a stack, the innermost first,
// without those of eBPF. An address below all functions is shown as a number.
func (s Symbols) Names(stack []uint64) []string {
	var out []string
	for _, address := range stack {
		// A return address may be the first of the next function, if the
		// call is the last thing that its function does.
		i, _ := slices.BinarySearchFunc(s, address, func(e symbol, a uint64) int { return cmp.Compare(e.address, a) })
		if i == 0 {
			out = append(out, fmt.Sprintf("%#x", address))
			continue
		}
		name := s[i-1].name
		if len(out) == 0 && strings.HasPrefix(name, "bpf_") || strings.HasPrefix(name, "bpf_trampoline_") {
			continue
		}
		out = append(out, name)
	}
	return out
}
