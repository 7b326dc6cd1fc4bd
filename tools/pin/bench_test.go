// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkUnpack unpacks the pinned package, which VCPULAB_DEB names: it is
// not kept in the cache.
func BenchmarkUnpack(b *testing.B) {
	name := os.Getenv("VCPULAB_DEB")
	if name == "" {
		b.Skip("VCPULAB_DEB names no package")
	}
	p, err := Load(committed)
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		dir := filepath.Join(b.TempDir(), "linux")
		if err := os.Mkdir(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		entries, err := unpackArchive(b.Context(), name, name, p.Sources[0].Member, dir, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(entries)), "files/op")
		b.StopTimer()
		os.RemoveAll(dir)
		b.StartTimer()
	}
}
