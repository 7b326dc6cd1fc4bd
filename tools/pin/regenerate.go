// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"vcpulab/tools/arch"
	"vcpulab/tools/tree"
)

// generatedMark begins the part of a pin file that Regenerate writes.
const generatedMark = "# Generated from the pinned tree from here on:"

// pinnedFiles says which files of a kernel the series touches or builds on:
// KVM on every architecture and its interface, the containers and the RCU
// that it uses, its selftests and documentation, and the kernel's own
// programs that judge patches.
var pinnedFiles = regexp.MustCompile(`^(` + strings.Join([]string{
	`virt/.*`,
	`arch/(` + strings.Join(arch.Sources(), "|") + `)/kvm/.*`,
	`arch/(` + strings.Join(arch.Sources(), "|") + `)/include/(uapi/)?asm/kvm[^/]*`,
	`include/kvm/.*`,
	`include/(linux|uapi/linux|trace/events)/kvm[^/]*\.h`,
	`include/linux/(xarray|idr|radix-tree|hashtable|rhashtable|rhashtable-types|list|rculist|rcupdate|rcutree|rcutiny|srcu|srcutree|srcutiny|nospec)\.h`,
	`lib/(xarray|idr|radix-tree|rhashtable)\.c`,
	`kernel/rcu/.*`,
	`Documentation/virt/kvm/.*`,
	`Documentation/process/maintainer-kvm-x86\.rst`,
	`tools/testing/selftests/kvm/.*`,
	`tools/testing/selftests/lib\.mk`,
	`tools/testing/(radix-tree|shared)/.*`,
	`scripts/(checkpatch\.pl|get_maintainer\.pl|spelling\.txt|const_structs\.checkpatch)`,
	`MAINTAINERS`,
	`Makefile`,
}, "|") + `)$`)

// generatedLine is a file in that part.
var generatedLine = regexp.MustCompile(`(?m)^"([^"]+)" = "[0-9a-f]{40}"$`)

// ignored are files that lie beside sources and do not matter here.
var ignored = regexp.MustCompile(`(^|/)(\.gitignore|\.gitattributes)$`)

// Regenerate returns the content of the pin file old with the blob ids of the
// tree in dir. What stands above the generated part is kept. Pinned are the
// files that the package's own rule names, those of touched, and those that old
// has pinned. missing are the files of touched that the tree does not have.
//
// dir must be as it was unpacked from the package or the tarball, with the
// times of its files: they show which files Debian has patched, because the
// tarball of a release has one time for all.
func Regenerate(old []byte, dir string, touched ...string) (data []byte, missing []string, err error) {
	head, rest, ok := bytes.Cut(old, []byte(generatedMark))
	if !ok {
		return nil, nil, fmt.Errorf("regenerate the pin: the file has no line %q", generatedMark)
	}
	wanted := map[string]bool{}
	for _, name := range touched {
		wanted[name] = true
	}
	for _, m := range generatedLine.FindAllSubmatch(rest, -1) {
		wanted[string(m[1])] = true
	}
	blobs, missing, err := readBlobs(dir, wanted, touched)
	if err != nil {
		return nil, nil, fmt.Errorf("regenerate the pin: %w", err)
	}
	return append(bytes.Clone(head), blobs.format()...), missing, nil
}

// readBlobs returns the blob ids of a tree: of the files that the package's own
// rule names, and of those that are wanted besides.
func readBlobs(dir string, wanted map[string]bool, touched []string) (blobs Blobs, missing []string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return blobs, nil, err
	}
	defer root.Close()
	var names []string
	times := map[string]int64{}
	count := map[int64]int{}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		times[name] = info.ModTime().Unix()
		count[times[name]]++
		if pinnedFiles.MatchString(name) && !ignored.MatchString(name) || wanted[name] {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return blobs, nil, err
	}
	if len(names) == 0 {
		return blobs, nil, &NotKernelError{dir, "it has none of the files that are pinned"}
	}
	for _, name := range touched {
		if _, ok := times[name]; !ok && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}

	// The time that most files have is that of the release.
	release := slices.MaxFunc(slices.Collect(maps.Keys(count)), func(a, b int64) int {
		return cmp.Or(cmp.Compare(count[a], count[b]), cmp.Compare(a, b))
	})
	blobs = Blobs{All: map[string]string{}, Debian: map[string]string{}}
	for _, name := range names {
		id, err := tree.FileBlobID(root, name)
		if err != nil {
			return blobs, nil, err
		}
		if times[name] == release {
			blobs.All[name] = id
		} else {
			blobs.Debian[name] = id
		}
	}
	return blobs, missing, nil
}

// format writes the generated part of a pin file.
func (b *Blobs) format() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n# vcpulab pin update\n", generatedMark)
	for _, table := range []struct {
		name, comment string
		ids           map[string]string
	}{
		{"all", "the same in every source", b.All},
		{"debian", "patched by Debian: verified in its package only", b.Debian},
	} {
		if len(table.ids) == 0 {
			continue
		}
		fmt.Fprintf(&out, "\n# %s\n[blobs.%s]\n", table.comment, table.name)
		for _, name := range slices.Sorted(maps.Keys(table.ids)) {
			fmt.Fprintf(&out, "%q = %q\n", name, table.ids[name])
		}
	}
	return out.Bytes()
}
