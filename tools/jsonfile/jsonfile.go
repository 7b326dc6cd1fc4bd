// SPDX-License-Identifier: GPL-2.0-only

// Package jsonfile keeps values in JSON files.
package jsonfile

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/renameio/v2"
)

// Load reads what Save wrote into the value that a pointer points to. Errors of
// opening and reading the file are an *fs.PathError.
func Load(name string, into any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// Save replaces a file by one with v at once: no process sees a part of it.
func Save(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	return renameio.WriteFile(name, append(data, '\n'), 0o644)
}
