// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"encoding/json"
	"io"
	"strings"
)

// listWidth is how wide WriteList writes, in characters.
const listWidth = 80

// WriteList writes what checks there are and why, for people.
func WriteList(w io.Writer, checks []Check) error {
	var b strings.Builder
	for _, c := range checks {
		b.WriteString(c.Name + "\n")
		line := "   "
		for _, word := range strings.Fields(c.Explain) {
			if len(line)+1+len(word) > listWidth {
				b.WriteString(line + "\n")
				line = "   "
			}
			line += " " + word
		}
		b.WriteString(line + "\n")
		if len(c.Needs) > 0 {
			b.WriteString("    Needs " + strings.Join(c.Needs, ", ") + ".\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// MarshalJSON writes what a check is, without how it is run.
func (c Check) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name    string   `json:"name"`
		Explain string   `json:"explain"`
		Needs   []string `json:"needs,omitempty"`
	}{c.Name, c.Explain, c.Needs})
}
