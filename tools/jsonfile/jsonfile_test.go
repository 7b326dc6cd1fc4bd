// SPDX-License-Identifier: GPL-2.0-only

package jsonfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSaveAndLoad(t *testing.T) {
	type value struct{ A, B int }
	name := filepath.Join(t.TempDir(), "v.json")
	var got value
	if err := Load(name, &got); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("expected an error about a missing file, found %v", err)
	}
	for _, want := range []value{{1, 2}, {3, 4}} {
		if err := Save(name, want); err != nil {
			t.Fatal(err)
		}
		if err := Load(name, &got); err != nil || got != want {
			t.Errorf("expected %v, found %v, %v", want, got, err)
		}
	}

	if err := os.WriteFile(name, []byte(`{"A": 1`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Load(name, &got); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("expected an error that names %s, found %v", name, err)
	}
	if err := Save(name, func() {}); err == nil {
		t.Error("a function was saved")
	}
}
