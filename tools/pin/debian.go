// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vcpulab/tools/exit"
)

// Package is a package as the index of a Debian suite lists it.
type Package struct {
	Name    string
	Version string
	Suite   string
	Path    string // on a mirror
	Size    int64  // bytes
	SHA256  string
}

// sourcePackages is the prefix of the names of Debian's packages with kernel
// sources.
const sourcePackages = "linux-source-"

// maxIndex is the most that is read of a list that a server publishes, in
// bytes. The compressed indexes of Debian's suites have up to 10 MB.
const maxIndex = 64 << 20

// downloadPackage downloads a package from the first mirror that has it.
func (p *Pin) downloadPackage(ctx context.Context, d *download, sites []string, src *Source) error {
	sites, err := mirrors(ctx, sites)
	if err != nil {
		return err
	}
	var failed []error
	var without []string
	for _, site := range sites {
		d.url = site + "/" + src.Path
		err := d.run(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case errors.Is(err, errNotFound):
			without = append(without, site)
		default:
			failed = append(failed, err)
		}
	}
	if len(without) > 0 {
		failed = append(failed, goneError(ctx, d.client, without, src))
	}
	return errors.Join(failed...)
}

// goneError says that mirrors do not have a package any more, and what they
// have instead: Debian keeps replaced versions only for a while.
func goneError(ctx context.Context, client *http.Client, sites []string, src *Source) error {
	var b strings.Builder
	fmt.Fprintf(&b, "no mirror has it any more (%s)", src.Path)
	list, err := sourcesIn(ctx, client, sites, src.Suite)
	switch {
	case err != nil:
		fmt.Fprintf(&b, "; listing the others failed: %v", err)
	case len(list) == 0:
		fmt.Fprintf(&b, "; %s has no kernel source at all", src.Suite)
	default:
		fmt.Fprintf(&b, "; %s has:", src.Suite)
		for _, p := range list {
			fmt.Fprintf(&b, "\n    %s %s", p.Name, p.Version)
		}
		fmt.Fprintf(&b, "\nTo pin one of them: vcpulab pin new --suite %s %s", src.Suite, kernelVersion(list[len(list)-1].Version))
	}
	return exit.With(exit.MachineLacks, errors.New(b.String()))
}

// sourcesIn returns the packages with kernel sources in a suite, by the first
// mirror that has some.
func sourcesIn(ctx context.Context, client *http.Client, sites []string, suite string) ([]Package, error) {
	var failed error
	for _, site := range sites {
		for _, arch := range []string{"amd64", "all"} {
			address := fmt.Sprintf("%s/dists/%s/main/binary-%s/Packages.xz", site, suite, arch)
			list, err := readIndex(ctx, client, address)
			if len(list) > 0 {
				for i := range list {
					list[i].Suite = suite
				}
				return list, nil
			}
			if err != nil {
				failed = errors.Join(failed, err)
			}
		}
	}
	return nil, failed
}

func readIndex(ctx context.Context, client *http.Client, address string) (list []Package, err error) {
	data, err := get(ctx, client, address)
	if err != nil {
		return nil, err
	}
	err = pipe(ctx, bytes.NewReader(data), func(r io.Reader) (err error) {
		list, err = parseIndex(r)
		return err
	}, "xz", "-dc")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return list, nil
}

// parseIndex reads the index of a Debian suite and returns the packages with
// kernel sources.
func parseIndex(r io.Reader) ([]Package, error) {
	var found []Package
	fields := map[string]string{}
	add := func() error {
		defer clear(fields)
		if name := fields["Package"]; !strings.HasPrefix(name, sourcePackages) {
			return nil
		}
		p := Package{Name: fields["Package"], Version: fields["Version"], Path: fields["Filename"], SHA256: fields["SHA256"]}
		size, err := strconv.ParseInt(fields["Size"], 10, 64)
		if err != nil || size <= 0 || p.Version == "" || !fs.ValidPath(p.Path) || !isHex(p.SHA256, 64) {
			return fmt.Errorf("package index: %s is without a valid Version, Filename, Size or SHA256", p.Name)
		}
		p.Size = size
		found = append(found, p)
		return nil
	}

	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && !strings.HasPrefix(key, " ") { // not a continuation of the field above
			fields[key] = strings.TrimSpace(value)
		} else if strings.TrimSpace(lines.Text()) == "" {
			if err := add(); err != nil {
				return nil, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("package index: %w", err)
	}
	return found, add()
}

// publishedSum returns the sum of an upstream tarball that the list beside it
// has. The list is signed, but nothing on the machine knows the key: TLS
// protects it, and the blob ids verify the files that matter.
func publishedSum(ctx context.Context, client *http.Client, src *Source) (string, error) {
	list, err := get(ctx, client, src.Sums)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(list)) {
		sum, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if file == src.base() && isHex(sum, 64) {
			return sum, nil
		}
	}
	return "", exit.With(exit.CheckFailed, fmt.Errorf("%s: no sum for %s", src.Sums, src.base()))
}

// get fetches a small file.
func get(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, unreachable(address, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, unreachable(address, err)
	}
	defer resp.Body.Close()
	if err := checkStatus(address, resp.StatusCode); err != nil {
		return nil, err
	}

	data, err := io.ReadAll(io.LimitReader(resp.Body, maxIndex+1))
	if err != nil {
		return nil, unreachable(address, err)
	}
	if len(data) > maxIndex {
		return nil, useless("%s: is larger than %d bytes", address, maxIndex)
	}
	return data, nil
}
