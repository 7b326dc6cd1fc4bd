// SPDX-License-Identifier: GPL-2.0-only

package vm

import (
	"fmt"
	"slices"
	"strings"

	"vcpulab/tools/exit"
)

// Param is a parameter of a module, as kvm_amd.npt=0, or of the kernel's command line
// where there are no modules, as kvm-arm.mode=nvhe.
type Param struct{ Module, Name, Value string }

// String is the parameter as it is typed.
func (p Param) String() string { return p.Module + "." + p.Name + "=" + p.Value }

// CombineParams reads texts such as kvm_amd.npt=0,1 and returns all combinations of
// their values, one without any for no text.
func CombineParams(texts []string) ([][]Param, error) {
	const most = 64
	combined := [][]Param{nil}
	for _, text := range texts {
		name, values, ok := strings.Cut(text, "=")
		module, name, dotted := strings.Cut(name, ".")
		word := func(s string) bool { return s != "" && !strings.ContainsFunc(s, notInParam) }
		all := strings.Split(values, ",")
		if !ok || !dotted || !word(module) || !word(name) || slices.ContainsFunc(all, func(v string) bool { return !word(v) }) {
			return nil, fmt.Errorf("parameter %q: expected module.name=value, or several values with commas between them, as kvm_amd.npt=0,1", text)
		}

		var next [][]Param
		for _, before := range combined {
			for _, v := range all {
				next = append(next, append(slices.Clone(before), Param{module, name, v}))
			}
		}
		if combined = next; len(combined) > most {
			return nil, fmt.Errorf("parameters: expected %d combinations of them at most, found %d", most, len(combined))
		}
	}
	return combined, nil
}

// notInParam tells whether a character would end a parameter, or begin another.
func notInParam(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"'.=,`, r) }

// JoinParams is a combination as it is typed, "" for none.
func JoinParams(params []Param) string {
	var words []string
	for _, p := range params {
		words = append(words, p.String())
	}
	return strings.Join(words, " ")
}

// setParams gives modules their parameters and returns those for the kernel's command
// line: all of a kernel that loads no module. Elsewhere one of a module that is not
// loaded is an error: the kernel would ignore it.
func setParams(modules []Module, params []Param) (line []string, err error) {
	var names []string
	for _, m := range modules {
		names = append(names, moduleName(m.Host))
	}
	for _, p := range params {
		i := slices.Index(names, canonical(p.Module))
		switch {
		case i >= 0:
			modules[i].Args = strings.TrimSpace(modules[i].Args + " " + p.Name + "=" + p.Value)
		case len(names) == 0:
			line = append(line, p.String())
		default:
			return nil, exit.With(exit.Usage, fmt.Errorf("parameter %s: the guest loads no module of that name: expected one of %s", p, strings.Join(names, ", ")))
		}
	}
	return line, nil
}
