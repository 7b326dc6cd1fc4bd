// SPDX-License-Identifier: GPL-2.0-only

// Package tomlfile reads TOML in which every key has to be known: a key with a
// spelling mistake must not go unnoticed.
package tomlfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/pelletier/go-toml/v2"

	"vcpulab/tools/exit"
)

// Load reads the file into the value that a pointer points to. An error names
// the file and, as far as possible, shows the line; it stands for exit.Usage.
func Load(name string, into any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	if err := Decode(data, into); err != nil {
		return Invalid(name, err)
	}
	return nil
}

// Decode is Load for the content of a file.
func Decode(data []byte, into any) error {
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(into)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		return fmt.Errorf("unknown key:\n%s", strict.String())
	}
	if syntax, ok := errors.AsType[*toml.DecodeError](err); ok {
		return errors.New(syntax.String())
	}
	return err
}

// Embedded is Decode for a file that is part of the program, which cannot be wrong.
func Embedded(name string, data []byte, into any) {
	if err := Decode(data, into); err != nil {
		panic(name + ": " + err.Error())
	}
}

// Invalid returns the error for a file that is wrong by more than TOML knows.
func Invalid(name string, err error) error {
	return exit.With(exit.Usage, fmt.Errorf("%s: %w", name, err))
}
