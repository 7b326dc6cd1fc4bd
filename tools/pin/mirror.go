// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vcpulab/tools/exit"
	"vcpulab/tools/program"
)

// mirrors returns the given mirrors or, if they are nil, those of this machine's apt.
func mirrors(ctx context.Context, sites []string) ([]string, error) {
	if sites != nil {
		return sites, nil
	}
	// Without the option sites are missing whose index was never fetched, as on a fresh machine.
	out, _, err := program.Program{Name: "apt-get", InheritEnv: true}.Run(ctx, "indextargets", "--no-release-info", "--format", "$(SITE)|$(LABEL)")
	if err != nil {
		return nil, exit.With(exit.MachineLacks, fmt.Errorf("find a Debian mirror: %w", err))
	}
	if sites = parseSites(string(out), os.ReadFile); len(sites) == 0 {
		return nil, exit.With(exit.MachineLacks, errors.New("apt has no mirror configured: look at /etc/apt/sources.list and /etc/apt/sources.list.d"))
	}
	return sites, nil
}

// parseSites reads lines of site|label. Sites for security updates, with few packages, come last.
func parseSites(text string, readFile func(string) ([]byte, error)) []string {
	var sites, security []string
	for line := range strings.Lines(text) {
		site, label, _ := strings.Cut(strings.TrimSpace(line), "|")
		found := []string{site}
		// A list of mirrors, as cloud images have it.
		if name, ok := strings.CutPrefix(site, "mirror+file:"); ok {
			data, _ := readFile(name)
			found = strings.Fields(string(data)) // what is not a site is dropped below
		}
		for _, s := range found {
			s = strings.TrimRight(s, "/")
			u, err := url.Parse(s)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				continue
			}
			list := &sites
			if strings.Contains(strings.ToLower(s+label), "security") {
				list = &security
			}
			if !slices.Contains(*list, s) {
				*list = append(*list, s)
			}
		}
	}
	return append(sites, security...)
}

// gone says what mirrors have instead of a package: Debian soon removes replaced versions.
func (o *FetchOptions) gone(ctx context.Context, sites []string, src *Source) error {
	list, err := o.sourcesIn(ctx, sites, src.Suite)
	instead := src.Suite + " has no kernel source at all"
	if err != nil {
		instead = fmt.Sprintf("listing the others failed: %v", err)
	} else if len(list) > 0 {
		instead = src.Suite + " has:"
		for _, s := range list {
			instead += fmt.Sprintf("\n    %s %s", s.Package, s.PackageVersion)
		}
		instead += fmt.Sprintf("\nTo pin one of them: vcpulab pin new --suite %s %s", src.Suite, kernelVersion(list[len(list)-1].PackageVersion))
	}
	return &failure{error: fmt.Errorf("no mirror has it any more (%s); %s", src.Path, instead)}
}

// sourcesIn returns the packages with kernel sources that the first mirror has in a suite.
func (o *FetchOptions) sourcesIn(ctx context.Context, sites []string, suite string) (list []Source, err error) {
	var failed error
	for _, site := range sites {
		for _, arch := range []string{"amd64", "all"} {
			address := fmt.Sprintf("%s/dists/%s/main/binary-%s/Packages.xz", site, suite, arch)
			err := o.read(ctx, address, func(body io.Reader) error {
				return pipe(ctx, body, func(r io.Reader) (err error) {
					list, err = parseIndex(r, suite)
					return err
				}, "xz", "-dc")
			})
			if err == nil && len(list) > 0 {
				return list, nil
			}
			failed = errors.Join(failed, err)
		}
	}
	return nil, failed
}

// sourcePackages begins the names of Debian's packages with kernel sources.
const sourcePackages = "linux-source-"

// maxIndex is the most that is read of a list that a server publishes, in bytes. The indexes
// of Debian's suites have up to 10 MB compressed, 60 MB uncompressed.
const maxIndex = 256 << 20

// parseIndex returns the packages with kernel sources in the index of a Debian suite.
func parseIndex(r io.Reader, suite string) ([]Source, error) {
	var found []Source
	paragraphs := textproto.NewReader(bufio.NewReader(io.LimitReader(r, maxIndex)))
	for {
		fields, end := paragraphs.ReadMIMEHeader()
		if end != nil && end != io.EOF {
			return nil, fmt.Errorf("package index: %w", end)
		}
		if name := fields.Get("Package"); strings.HasPrefix(name, sourcePackages) {
			s := Source{
				Kind: Debian, Package: name, PackageVersion: fields.Get("Version"), Suite: suite,
				Path: fields.Get("Filename"), Member: "usr/src/" + name + ".tar.xz", SHA256: fields.Get("SHA256"),
			}
			s.Size, _ = strconv.ParseInt(fields.Get("Size"), 10, 64)
			if err := s.check(); err != nil {
				return nil, fmt.Errorf("package index: %s: %w", name, err)
			}
			found = append(found, s)
		}
		if end != nil {
			return found, nil
		}
	}
}

// publishedSum returns the sum of an upstream tarball that the list beside it
// has. The list is signed, but nothing on the machine knows the key: TLS
// protects it, and the blob ids verify the files that matter.
func (o *FetchOptions) publishedSum(ctx context.Context, src *Source) (sum string, err error) {
	var list []byte
	err = o.read(ctx, src.Sums, func(r io.Reader) (err error) {
		list, err = io.ReadAll(r)
		return exit.With(exit.MachineLacks, err)
	})
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`(?m)^([0-9a-f]{64})  ` + regexp.QuoteMeta(src.base()) + `$`).FindSubmatch(list)
	if found == nil {
		return "", fmt.Errorf("%s: no sum for %s", src.Sums, src.base())
	}
	return string(found[1]), nil
}
