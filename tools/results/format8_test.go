// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"encoding/json"
	"os"
	"testing"
)

// fromFormat8 reads results as they were before figures had keys, without the
// figures.
func fromFormat8(t *testing.T, data []byte) *Results {
	t.Helper()
	var rename func(v any) any
	rename = func(v any) any {
		switch v := v.(type) {
		case []any:
			for i := range v {
				v[i] = rename(v[i])
			}
		case map[string]any:
			for name, member := range v {
				v[name] = rename(member)
			}
			if method, ok := v["arm"]; ok {
				v["method"] = method
			}
		}
		return v
	}
	var old map[string]any
	if err := json.Unmarshal(data, &old); err != nil {
		t.Fatal(err)
	}
	delete(old, "figures")
	renamed, err := json.Marshal(rename(old))
	if err != nil {
		t.Fatal(err)
	}
	r := &Results{}
	if err := json.Unmarshal(renamed, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFormat8 draws the figures of a real run again whose samples are in an old
// file, in which there are also the figures that the old tool drew from them:
// names, units and values are the same. Only some of the run's samples are left:
// those of small VMs, and of a VM that grows those while memory slots change.
func TestFormat8(t *testing.T) {
	data, err := os.ReadFile("testdata/format8.json")
	if err != nil {
		t.Fatal(err)
	}
	r := fromFormat8(t, data)
	if err := r.Draw(); err != nil {
		t.Fatal(err)
	}
	var old struct {
		Figures []struct {
			Name, Column, Unit string
			Method             Method `json:"arm"`
			Value, Low, High   float64
		}
	}
	if err := json.Unmarshal(data, &old); err != nil {
		t.Fatal(err)
	}

	ops := make(map[string]bool)
	for _, want := range old.Figures {
		f, ok := find(r, want.Name, want.Column, want.Method)
		if !ok || f.Unit() != want.Unit || f.Value != want.Value || f.Low != want.Low || f.High != want.High {
			t.Errorf("%s of %s: expected %+v, found %+v in %s (%v)", want.Name, want.Column, want, f, f.Unit(), ok)
		}
		ops[string(f.Key.Op)] = true
	}
	if len(old.Figures) < 200 || len(ops) < 25 {
		t.Errorf("expected figures of all kinds, found %d of %d operations", len(old.Figures), len(ops))
	}
}
