// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vcpulab/tools/exit"
)

// defaultFile is the symbolic link to the pin that is used unless another one
// is named. A directory with a single pin needs none.
const defaultFile = "default.toml"

// filePrefix and fileSuffix surround the version in the name of a pin file.
const filePrefix, fileSuffix = "linux-", ".toml"

// Listed is a pin file of a directory.
type Listed struct {
	Name    string `json:"name"` // the version in its file's name, "6.12.1"
	File    string `json:"file"`
	Default bool   `json:"default"`
}

// List returns the pins in dir, sorted by name. They are not read.
func List(dir string) ([]Listed, error) {
	files, err := filepath.Glob(filepath.Join(dir, filePrefix+"*"+fileSuffix))
	if err != nil {
		return nil, &FileError{File: dir, Err: err}
	}
	chosen, _ := os.Readlink(filepath.Join(dir, defaultFile))

	var list []Listed
	for _, file := range files {
		list = append(list, Listed{
			Name: pinName(file), File: file,
			Default: filepath.Base(file) == chosen || len(files) == 1 && chosen == "",
		})
	}
	return list, nil
}

// pinName returns the name of a pin: "linux-6.12.1.toml" and "6.12.1" mean the
// same one.
func pinName(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), filePrefix), fileSuffix)
}

// Find reads the pin of that name in dir; "" is the default one.
func Find(dir, name string) (*Pin, error) {
	list, err := List(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range list {
		if name == "" && l.Default || name != "" && l.Name == pinName(name) {
			p, err := Load(l.File)
			if err == nil {
				p.Default = l.Default
			}
			return p, err
		}
		names = append(names, l.Name)
	}

	there := "it has none"
	if len(names) > 0 {
		there = "there are: " + strings.Join(names, ", ")
	}
	if name == "" {
		err = fmt.Errorf("%s has no default pin; %s; name one with --pin, or link it to %s", dir, there, defaultFile)
	} else {
		err = fmt.Errorf("unknown pin %q in %s; %s; vcpulab pin new makes one", name, dir, there)
	}
	return nil, exit.With(exit.Usage, err)
}

// suites returns the suites that pins in dir have packages from, for the
// search for another one. Pins that cannot be read have none.
func suites(dir string) []string {
	list, _ := List(dir)
	var found []string
	for _, l := range list {
		if p, err := Load(l.File); err == nil {
			for _, s := range p.Sources {
				if s.Suite != "" && !slices.Contains(found, s.Suite) {
					found = append(found, s.Suite)
				}
			}
		}
	}
	return found
}
