// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestSources follows each figure's pointers in the JSON of a real run to samples
// of the VM that the figure names.
func TestSources(t *testing.T) {
	data, err := os.ReadFile("testdata/results.json")
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	r, err := Read("testdata/results.json")
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range r.Boots {
		sources, err := b.Sources()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Figures {
			if f.Column != b.Column() || f.Name() == "probe/loop" {
				continue
			}
			found, ok := follow(all, fmt.Sprintf("/boots/%d%s", i, sources[f.Key])).(map[string]any)
			if !ok || sources[f.Key] == "" {
				t.Errorf("%s: %q leads to nothing", f.Name(), sources[f.Key])
				continue
			}
			op, rest, _ := strings.Cut(f.Name(), "/")
			if got := found["op"]; got != nil && got != op {
				t.Errorf("%s leads to a loop that does %v", f.Name(), got)
			}
			if vm, ok := found["vm"].(map[string]any); ok && strings.HasPrefix(rest, "vcpus=") && strings.Contains(rest, "/ids=") {
				if want := fmt.Sprintf("vcpus=%v/ids=%v", vm["vcpus"], vm["ids"]); !strings.HasPrefix(rest+"/", want+"/") {
					t.Errorf("%s leads to samples of %s", f.Name(), want)
				}
			}
		}
	}
	if _, err := (Boot{Which: Which{Method: ICount}}).Sources(); err == nil {
		t.Error("expected an error of a boot without samples, found none")
	}
}

// follow follows a JSON pointer, to nil if it leads nowhere.
func follow(v any, pointer string) any {
	for _, step := range strings.Split(pointer, "/")[1:] {
		switch of := v.(type) {
		case map[string]any:
			v = of[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(of) {
				return nil
			}
			v = of[n]
		default:
			return nil
		}
	}
	return v
}
