// SPDX-License-Identifier: GPL-2.0-only

package header

import (
	"regexp"
	"strings"
	"testing"
)

func TestWithoutComments(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"block":               {"a /* b\n c */ d", "a   d"},
		"line":                {"a // b\nc", "a  \nc"},
		"line at the end":     {"a // b", "a  "},
		"continued line":      {"a // b\\\nc\nd", "a  \nd"},
		"not closed":          {"a /* b", "a /* b"},
		"closed by its own":   {"a /*/ b */ c", "a   c"},
		"division":            {"a / b", "a / b"},
		"in a string":         {`"/* a */ // b" c`, `"/* a */ // b" c`},
		"string in a comment": {`/* " */ a /* " */`, "  a  "},
		"escaped quote":       {`"\"/*" a /* b */`, `"\"/*" a  `},
		"escaped backslash":   {`"\\" /* " */`, `"\\"  `},
		"character":           {`'"' /* ' */ "a"`, `'"'   "a"`},
		"apostrophe":          {"#error don't /* a */\nb '", "#error don't  \nb '"},
		"string not closed":   {"\"a /* b */\n", "\"a  \n"},
		"escape at the end":   {`"\`, `"\`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := withoutComments(test.text); got != test.want {
				t.Errorf("found %q, expected %q", got, test.want)
			}
		})
	}
}

// FuzzWithoutComments compares it with a regular expression, which takes too long for
// all headers of the kernel.
func FuzzWithoutComments(f *testing.F) {
	f.Add(host)
	f.Add("\"\\\" /* ' // \\\n */ '\\'' \n// \" \n/*/")
	commentOrString := regexp.MustCompile(`"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|//[^\n]*|/\*(?s:.*?)\*/`)
	f.Fuzz(func(t *testing.T, text string) {
		want := commentOrString.ReplaceAllStringFunc(strings.ReplaceAll(text, "\\\n", " "), func(found string) string {
			if found[0] == '/' {
				return " "
			}
			return found
		})
		if got := withoutComments(text); got != want {
			t.Errorf("found %q, expected %q", got, want)
		}
	})
}
