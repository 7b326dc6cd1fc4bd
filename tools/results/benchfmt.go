// SPDX-License-Identifier: GPL-2.0-only

package results

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"

	"vcpulab/tools/figure"
)

// WriteBench writes the figures in the Go benchmark format, a line for each
// boot, for benchstat to read: `benchstat -col kernel FILE`. Exact units and
// those of which more is better are marked so.
//
// What was measured where stands in keys that are the same on every line:
// benchstat makes a table of its own for each set of them, and would not
// compare kernels across two.
func (r *Results) WriteBench(w io.Writer) error {
	for _, p := range figure.Properties {
		for _, unit := range p.Units {
			if slices.ContainsFunc(r.Figures, func(f Figure) bool { return f.Unit() == unit }) {
				if _, err := fmt.Fprintf(w, "Unit %s %s\n", unit, p.Is); err != nil {
					return err
				}
			}
		}
	}

	common := r.provenance()
	out := benchfmt.NewWriter(w)
	for _, f := range r.Figures {
		config := append(slices.Clip(common), fileConfig("method", string(f.Method)), fileConfig("kernel", f.Column))
		for _, v := range f.Values {
			if err := out.Write(&benchfmt.Result{
				Config: config,
				Name:   benchfmt.Name(benchName(f.Name())),
				Iters:  1,
				Values: []benchfmt.Value{{Value: v, Unit: f.Unit()}},
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// provenance are the keys that say what was measured where. Where kernels
// differ in something it says so of each.
func (r *Results) provenance() []benchfmt.Config {
	var all []benchfmt.Config
	add := func(key, value string) {
		if value = strings.Join(strings.Fields(value), " "); value != "" {
			all = append(all, fileConfig(key, value))
		}
	}
	each := func(key string, of func(Kernel) string) { add(key, r.OfKernels("=", of)) }
	each("release", func(k Kernel) string { return k.Release })
	each("series", func(k Kernel) string { return k.Series })
	each("config", func(k Kernel) string { return k.Config })
	each("compiler", func(k Kernel) string { return k.Compiler })
	each("hz", func(k Kernel) string { return strconv.Itoa(k.HZ) })
	each("preemption", func(k Kernel) string { return k.Preemption })
	each("rcu", func(k Kernel) string { return k.RCU })
	add("cpu", r.Host.CPU)
	add("qemu", r.Host.QEMU)
	return all
}

// OfKernels returns what all kernels have in common, or what each has that has
// something: "base=250, patched=1000".
func (r *Results) OfKernels(separator string, of func(Kernel) string) string {
	var values, named []string
	for _, k := range r.Kernels {
		if v := of(k); v != "" {
			if !slices.Contains(values, v) {
				values = append(values, v)
			}
			named = append(named, k.Name+separator+v)
		}
	}
	if len(values) == 1 && len(named) == len(r.Kernels) {
		return values[0]
	}
	return strings.Join(named, ", ")
}

// fileConfig is a key that is written; those that Result.SetConfig makes are not.
func fileConfig(key, value string) benchfmt.Config {
	return benchfmt.Config{Key: key, Value: []byte(value), File: true}
}

// benchName turns a figure's name into that of a benchmark: what has no key gets one.
func benchName(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts[1:] {
		if !strings.Contains(p, "=") {
			parts[i+1] = "what=" + p
		}
	}
	op := parts[0]
	parts[0] = strings.ToUpper(op[:1]) + op[1:]
	return strings.Join(parts, "/")
}
