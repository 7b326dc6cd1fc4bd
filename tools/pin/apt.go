// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"vcpulab/tools/exit"
)

// errNoApt says that the machine has no apt, and therefore no mirror.
var errNoApt = errors.New("this machine has no apt to take a Debian mirror from")

// aptSites returns the mirrors that this machine's apt installs from, those
// for security updates last: they have few packages.
func aptSites(ctx context.Context) ([]string, error) {
	// Without the option only sites are listed whose index was fetched before,
	// and a fresh machine has fetched none.
	out, err := command(ctx, "apt-get", "indextargets", "--no-release-info", "--format", "$(SITE)|$(LABEL)").Output()
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, exit.With(exit.MachineLacks, fmt.Errorf("%w (apt-get indextargets: %v)", errNoApt, err))
	}
	sites := parseSites(string(out), os.ReadFile)
	if len(sites) == 0 {
		return nil, exit.With(exit.MachineLacks, errors.New("apt has no mirror configured: look at /etc/apt/sources.list and /etc/apt/sources.list.d"))
	}
	return sites, nil
}

// parseSites reads lines of the form site|label.
func parseSites(text string, readFile func(string) ([]byte, error)) []string {
	var sites, security []string
	for line := range strings.Lines(text) {
		site, label, _ := strings.Cut(strings.TrimSpace(line), "|")
		to := &sites
		if strings.Contains(strings.ToLower(site+label), "security") {
			to = &security
		}
		// A list of mirrors, as cloud images have it.
		if name, ok := strings.CutPrefix(site, "mirror+file:"); ok {
			if data, err := readFile(name); err == nil {
				for entry := range strings.Lines(string(data)) {
					fields := strings.Fields(entry)
					if len(fields) > 0 && isHTTP(fields[0]) {
						*to = append(*to, strings.TrimRight(fields[0], "/"))
					}
				}
			}
			continue
		}
		if isHTTP(site) {
			*to = append(*to, strings.TrimRight(site, "/"))
		}
	}
	var unique []string
	for _, site := range append(sites, security...) {
		if !slices.Contains(unique, site) {
			unique = append(unique, site)
		}
	}
	return unique
}

func isHTTP(site string) bool {
	u, err := url.Parse(site)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// aptProxy returns which proxy to use for a request: the one that apt is
// configured with, else the one of the environment.
func aptProxy(ctx context.Context) func(*http.Request) (*url.URL, error) {
	out, err := command(ctx, "apt-config", "dump", "--format", "%F %v%n").Output()
	if err != nil {
		return http.ProxyFromEnvironment
	}
	return proxyOf(parseAptConfig(string(out)))
}

// parseAptConfig reads lines of the form Name::Of::Option value.
func parseAptConfig(text string) map[string]string {
	options := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		value = strings.TrimSuffix(strings.TrimSpace(value), ";")
		if plain, err := strconv.Unquote(value); err == nil {
			value = plain
		}
		options[strings.ToLower(name)] = value
	}
	return options
}

// proxyOf returns the proxy function for apt's options: a host's own proxy,
// then the scheme's, then http's; DIRECT means none.
func proxyOf(options map[string]string) func(*http.Request) (*url.URL, error) {
	return func(r *http.Request) (*url.URL, error) {
		scheme := r.URL.Scheme
		value := cmp.Or(
			options["acquire::"+scheme+"::proxy::"+strings.ToLower(r.URL.Hostname())],
			options["acquire::"+scheme+"::proxy"],
			options["acquire::http::proxy"],
		)
		switch {
		case strings.EqualFold(value, "DIRECT") || strings.EqualFold(value, "false"):
			return nil, nil
		case value == "":
			return http.ProxyFromEnvironment(r)
		}
		u, err := url.Parse(value)
		if err != nil {
			return nil, fmt.Errorf("apt's proxy %q is no address: %w", value, err)
		}
		return u, nil
	}
}
