// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"debug/elf"
	"fmt"
	"path/filepath"
)

// Size is what a kernel or a module takes of memory, in bytes, before it runs.
type Size struct {
	Text int64 `json:"text"` // code and what is only read
	Data int64 `json:"data"`
	BSS  int64 `json:"bss"`
}

// Sizes returns those of vmlinux and of all modules, by their names in Dir.
func (k *Kernel) Sizes() (map[string]Size, error) {
	sizes := make(map[string]Size)
	for _, name := range append([]string{fileVmlinux}, k.Modules...) {
		s, err := sizeOf(filepath.Join(k.Dir, name))
		if err != nil {
			return nil, fmt.Errorf("size of %s: %w", name, err)
		}
		sizes[name] = s
	}
	return sizes, nil
}

// sizeOf adds up the sections of an ELF file as size(1) does.
func sizeOf(file string) (s Size, err error) {
	f, err := elf.Open(file)
	if err != nil {
		return s, err
	}
	defer f.Close()
	for _, section := range f.Sections {
		switch {
		case section.Flags&elf.SHF_ALLOC == 0:
		case section.Type == elf.SHT_NOBITS:
			s.BSS += int64(section.Size)
		case section.Flags&elf.SHF_WRITE != 0 && section.Flags&elf.SHF_EXECINSTR == 0:
			s.Data += int64(section.Size)
		default:
			s.Text += int64(section.Size)
		}
	}
	return s, nil
}
