// SPDX-License-Identifier: GPL-2.0-only

package series

import "slices"

// differences compares the base's files with what the patches' index lines
// say of them, each by the first patch that touches it.
func differences(patches []*Patch, img *image) (Differences, error) {
	d := Differences{Same: []string{}, Different: []Difference{}, Missing: []Difference{}}
	seen := make(map[string]bool)
	for _, p := range patches {
		for _, f := range p.Files {
			if name := f.OldPath(); name != "" {
				if err := d.add(name, f.git.OldOIDPrefix, img, seen); err != nil {
					return d, err
				}
			}
		}
		// What the patch makes is expected to be missing, unless it removes
		// or renames that as well.
		for _, f := range p.Files {
			if name := f.NewPath(); name != "" && name != f.OldPath() {
				if err := d.add(name, zeroID[:7], img, seen); err != nil {
					return d, err
				}
			}
		}
	}
	slices.Sort(d.Same)
	slices.Sort(d.Unknown)
	return d, nil
}

func (d *Differences) add(name, expected string, img *image, seen map[string]bool) error {
	if seen[name] {
		return nil
	}
	seen[name] = true
	n := img.base[name]
	if n == nil {
		// Not read where the patch was left out.
		var err error
		if n, err = img.load(name); err != nil {
			return err
		}
	}
	state := checkID(expected, n)
	switch {
	case state == idAbsent:
		d.Unknown = append(d.Unknown, name)
	case state == idSame && n != nil:
		d.Same = append(d.Same, name)
	case state == idSame: // a file that the series makes, and that is not there yet
	case n == nil:
		d.Missing = append(d.Missing, Difference{Path: name, Expected: expected})
	default:
		found := describeID(n, expected)
		if expected == zeroID[:len(expected)] {
			expected = "no file"
		}
		d.Different = append(d.Different, Difference{Path: name, Expected: expected, Found: found})
	}
	return nil
}
