// SPDX-License-Identifier: GPL-2.0-only

package results

// Sources says which of the boot's samples each figure is drawn from, as a JSON
// pointer that begins at the boot: "/loops/3". A figure that is drawn from
// several is not in it. Of a lookup it is the loop with the lookups in it; what
// the loop takes itself is the one without any of the same VM. The error is
// ErrInvalid if the boot's samples contradict themselves.
func (b Boot) Sources() (map[string]string, error) {
	values, err := b.values()
	if err != nil {
		return nil, err
	}
	out := make(map[string]string)
	for _, v := range values {
		if v.from != "" {
			out[v.name] = v.from
		}
	}
	return out, nil
}
