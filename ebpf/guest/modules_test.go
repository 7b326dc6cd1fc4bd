// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckParams: a parameter that a module does not have, or did not take, is told.
func TestCheckParams(t *testing.T) {
	dir := t.TempDir()
	for name, value := range map[string]string{"npt": "N", "avic": "N", "pause_filter_count": "3000", "nested": "1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for args, says := range map[string]string{
		"":                                       "",
		"npt=0":                                  "",
		"npt=n nested=Y pause_filter_count=3000": "",
		"npt=0 avic=1":                           "parameter avic=1: the module has taken N instead",
		"pause_filter_count=1":                   "taken 3000 instead",
		"ept=0":                                  "parameter ept=0: the module has none of that name",
	} {
		err := checkParams(dir, args)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: expected an error that says %q, found %v", args, says, err)
		}
	}
}
