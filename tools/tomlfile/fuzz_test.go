// SPDX-License-Identifier: GPL-2.0-only

package tomlfile

import "testing"

// FuzzDecode: no text makes the reader panic, and an error says something.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{"name = 'x'\n", "[[list]]\nname = 'y'\nn = 7\n", "name =\n", "a.b = 1\n", "x = \"\\u00\"\n", "[table]\nk = [1, [2, 'a']]\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var v struct {
			Name  string
			Table map[string]any
			List  []struct {
				Name string
				N    int
			}
		}
		if err := Decode(text, &v); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
	})
}
