// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// maxIndex is the most that is read of the lists that mirrors publish, in
// bytes after decompression. Those of Debian's suites have up to 60 MB.
const maxIndex = 256 << 20

// downloadDebian fetches a package from the first mirror that has it and
// returns its SHA-256.
func (p *Pin) downloadDebian(ctx context.Context, opts *FetchOptions, client *http.Client, src *Source, part string) (string, error) {
	sites := opts.Sites
	if sites == nil {
		var err error
		if sites, err = aptSites(ctx); err != nil {
			return "", err
		}
	}
	var failed []error
	var gone []string
	for _, site := range sites {
		url := site + "/" + src.Path
		err := p.download(ctx, opts, client, src, url, part, src.SHA256, true)
		if err == nil {
			return src.SHA256, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		var no *UnreachableError
		if errors.As(err, &no) && (no.Status == http.StatusNotFound || no.Status == http.StatusGone) {
			gone = append(gone, site)
			continue
		}
		failed = append(failed, err)
	}
	if len(gone) > 0 {
		// It may be on a mirror that could not be reached, but where it was
		// asked for it is not any more.
		g := &GoneError{Pin: p.file, Source: *src}
		g.Available, g.ListErr = available(ctx, client, gone, src.Suite)
		failed = append(failed, g)
	}
	return "", errors.Join(failed...)
}

// downloadUpstream fetches a tarball and returns its SHA-256. Where the pin
// has none, it is the one in the list beside the tarball. The list is signed,
// but nothing on the machine knows the key: it is trusted as far as TLS goes,
// and the blob ids verify what matters.
func (p *Pin) downloadUpstream(ctx context.Context, opts *FetchOptions, client *http.Client, src *Source, part string) (string, error) {
	sum := src.SHA256
	if sum == "" {
		const most = 1 << 20
		list, err := get(ctx, client, src.Sums, most)
		if err != nil {
			return "", err
		}
		sum, err = findSum(bytes.NewReader(list), src.base())
		if err != nil {
			return "", fmt.Errorf("%s: %w", src.Sums, err)
		}
	}
	return sum, p.download(ctx, opts, client, src, src.URL, part, sum, false)
}

func (p *Pin) download(ctx context.Context, opts *FetchOptions, client *http.Client, src *Source, url, part, sum string, exact bool) (err error) {
	d := &download{
		client: client, name: src.base(), url: url, part: part,
		size: src.Size, exact: exact, sha256: sum,
		step:  opts.Log.Step("download " + src.base()),
		tries: cmp.Or(opts.tries, downloadTries),
		pause: cmp.Or(opts.pause, downloadPause),
		stall: cmp.Or(opts.stall, downloadStall),
	}
	defer func() { d.step.End(err, "%s, sha256 verified", megabytes(partSize(part))) }()
	return d.run(ctx)
}

// get fetches a small file, of at most that many bytes.
func get(ctx context.Context, client *http.Client, url string, most int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, &UnreachableError{URL: url, Err: err}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, &UnreachableError{URL: url, Err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &UnreachableError{URL: url, Status: resp.StatusCode}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, &UnreachableError{URL: url, Err: cutOff(err)}
	}
	if int64(len(data)) > most {
		return nil, &SizeError{File: url, Expected: most, Found: int64(len(data))}
	}
	return data, nil
}

// findSum returns the sum of a file in a list as sha256sum writes it, signed
// in clear or not.
func findSum(r io.Reader, name string) (string, error) {
	lines := bufio.NewScanner(r)
	found := ""
	for lines.Scan() {
		sum, file, ok := strings.Cut(lines.Text(), "  ")
		if !ok || strings.TrimSpace(file) != name || !isHex(sum, 64) {
			continue
		}
		if found != "" && found != sum {
			return "", fmt.Errorf("two sums for %s", name)
		}
		found = sum
	}
	if err := lines.Err(); err != nil {
		return "", err
	}
	if found == "" {
		return "", fmt.Errorf("no sum for %s", name)
	}
	return found, nil
}

// sourcePackages is what the names of Debian's packages with kernel sources
// begin with.
const sourcePackages = "linux-source-"

// available returns the packages with kernel sources that a suite has, by the
// first mirror that says so.
func available(ctx context.Context, client *http.Client, sites []string, suite string) ([]Package, error) {
	var failed error
	for _, site := range sites {
		var found []Package
		var err error
		for _, arch := range []string{"amd64", "all"} {
			url := fmt.Sprintf("%s/dists/%s/main/binary-%s/Packages.xz", site, suite, arch)
			var list []Package
			list, err = packageIndex(ctx, client, url)
			if found = mergePackages(found, list); len(found) > 0 {
				return found, nil
			}
			if err != nil {
				failed = errors.Join(failed, err)
			}
		}
	}
	return nil, failed
}

func packageIndex(ctx context.Context, client *http.Client, url string) ([]Package, error) {
	data, err := get(ctx, client, url, maxIndex/4)
	if err != nil {
		return nil, err
	}
	x, err := unxz(ctx, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	defer x.Close()
	list, err := parsePackages(io.LimitReader(x, maxIndex), sourcePackages)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return list, nil
}

// mergePackages appends those of more that are not there yet.
func mergePackages(list, more []Package) []Package {
	have := map[[2]string]bool{}
	for _, p := range list {
		have[[2]string{p.Name, p.Version}] = true
	}
	for _, p := range more {
		if id := [2]string{p.Name, p.Version}; !have[id] {
			have[id] = true
			list = append(list, p)
		}
	}
	return list
}

// removePart throws away what was downloaded.
func removePart(part string) {
	os.Remove(part)
	os.Remove(part + ".json")
}
