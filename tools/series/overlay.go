// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"vcpulab/tools/tree"
)

// Overlay applies the series to base in memory, as Apply does, and returns
// what becomes of each file that it changes: its content by its path, nil for
// one that is removed. Nothing is written, and base need not be a tree that
// is never written to. Errors are those of Apply.
func (s *Series) Overlay(base tree.Tree, opts Options) (map[string][]byte, *Report, error) {
	img, report, err := s.inMemory(base, opts)
	if err != nil {
		return nil, nil, err
	}
	files := make(map[string][]byte)
	for _, name := range img.changed() {
		files[name] = nil
		if n := img.now[name]; n != nil {
			files[name] = append([]byte{}, n.data...)
		}
	}
	return files, report, nil
}
