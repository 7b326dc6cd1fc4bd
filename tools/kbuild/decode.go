// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/program"
)

// maxPlaces bounds how many different places of one text are looked up: each
// lookup in the debug information takes a tenth of a second or two.
const maxPlaces = 200

// decodeLimit is how long that may take in total.
const decodeLimit = 2 * time.Minute

// place is how the kernel prints a place in its code:
// kvm_vm_ioctl+0x50/0x900 [kvm]. Nothing else reaches the kernel's script,
// whose shell would evaluate other texts.
var place = regexp.MustCompile(`\b([A-Za-z_][A-Za-z0-9_.]{0,127}\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8})( \[([A-Za-z0-9_]{1,56})[^\]\n]{0,64}\])?`)

// decoded is how the script prints one: kvm_vm_ioctl (virt/kvm/kvm_main.c:12) kvm.
var decoded = regexp.MustCompile(`^\S+ \((.+:\d+.*)\)( \S+)?$`)

// Decode adds the line of the source to each place in the kernel's or a
// module's code that a console's text names, with the pinned tree's own
// scripts/decode_stacktrace.sh. As there, the line is that of the call, not of
// the instruction after it. Places that are not found stay as they are; it is an
// error if the kernel has no debug information.
func (k *Kernel) Decode(ctx context.Context, text string) (string, error) {
	places := findPlaces(text)
	if len(places) == 0 {
		return text, nil
	}
	config, err := k.Config()
	if err != nil {
		return text, err
	}
	if config.Value("CONFIG_DEBUG_INFO") != "y" {
		return "", errors.New("this kernel has no debug information: only functions and offsets are known")
	}

	ctx, cancel := context.WithTimeout(ctx, decodeLimit)
	defer cancel()
	var in strings.Builder
	for _, p := range places {
		in.WriteString(" " + p + "\n")
	}
	script := filepath.Join(k.Tree.Dir, "scripts", "decode_stacktrace.sh")
	bash := program.Program{Name: "bash", InheritEnv: true, Env: []string{"CROSS_COMPILE=" + k.Arch.CrossPrefix(), "LLVM="}, Stdin: strings.NewReader(in.String())}
	out, _, err := bash.Run(ctx, script, k.Vmlinux(), ".", filepath.Join(k.Dir, dirModules))
	if err != nil {
		return text, fmt.Errorf("find source lines of linux %s with %s: %w", k.Release, script, err)
	}
	return addLines(text, places, out)
}

// findPlaces returns the different places that a text names, in order, as
// the script takes them.
func findPlaces(text string) []string {
	var places []string
	for _, m := range place.FindAllStringSubmatch(text, -1) {
		if p := placeName(m); !slices.Contains(places, p) && len(places) < maxPlaces {
			places = append(places, p)
		}
	}
	return places
}

// placeName is a match of place without the build id of the module.
func placeName(m []string) string {
	if m[3] == "" {
		return m[1]
	}
	return m[1] + " [" + m[3] + "]"
}

// addLines puts the lines that the script found, one a place and in the same
// order, behind each place of the text.
func addLines(text string, places []string, out []byte) (string, error) {
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) < len(places) {
		return text, fmt.Errorf("find source lines: expected %d lines of decode_stacktrace.sh, found %d", len(places), len(lines))
	}
	found := make(map[string]string, len(places))
	for i, p := range places {
		if m := decoded.FindStringSubmatch(strings.TrimSpace(lines[i])); m != nil {
			found[p] = " (" + m[1] + ")"
		}
	}
	return place.ReplaceAllStringFunc(text, func(s string) string {
		return s + found[placeName(place.FindStringSubmatch(s))]
	}), nil
}
