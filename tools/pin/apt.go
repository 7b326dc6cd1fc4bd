// SPDX-License-Identifier: GPL-2.0-only

package pin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"vcpulab/tools/exit"
	"vcpulab/tools/program"
)

// newClient returns a client with apt's proxy that gives up on servers that
// do not answer.
func newClient(ctx context.Context) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 aptProxy(ctx),
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		DisableCompression:    true,
	}}
}

// mirrors returns the given mirrors or, if they are nil, those that this
// machine's apt installs from.
func mirrors(ctx context.Context, sites []string) ([]string, error) {
	if sites != nil {
		return sites, nil
	}
	// Without the option only sites are listed whose index was fetched before,
	// and a fresh machine has fetched none.
	out, _, err := program.Program{Name: "apt-get", InheritEnv: true}.Run(ctx, "indextargets", "--no-release-info", "--format", "$(SITE)|$(LABEL)")
	if err != nil {
		return nil, exit.With(exit.MachineLacks, fmt.Errorf("find a Debian mirror: %w", err))
	}
	if sites = parseSites(string(out), os.ReadFile); len(sites) == 0 {
		return nil, exit.With(exit.MachineLacks, errors.New("apt has no mirror configured: look at /etc/apt/sources.list and /etc/apt/sources.list.d"))
	}
	return sites, nil
}

// parseSites reads lines of the form site|label. Sites for security updates
// come last: they have few packages.
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
			switch {
			case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			case slices.Contains(sites, s) || slices.Contains(security, s):
			case strings.Contains(strings.ToLower(s+label), "security"):
				security = append(security, s)
			default:
				sites = append(sites, s)
			}
		}
	}
	return append(sites, security...)
}

// aptProxy returns which proxy to use for a request: the one that apt is
// configured with, else the one of the environment.
func aptProxy(ctx context.Context) func(*http.Request) (*url.URL, error) {
	out, _, err := program.Program{Name: "apt-config", InheritEnv: true}.Run(ctx, "dump", "--format", "%F %v%n")
	if err != nil {
		return http.ProxyFromEnvironment
	}
	return proxyOf(string(out))
}

// proxyOf returns the proxy function for apt's options, lines of the form
// Name::Of::Option "value": a host's own proxy, then the scheme's, then http's.
func proxyOf(config string) func(*http.Request) (*url.URL, error) {
	options := map[string]string{}
	for line := range strings.Lines(config) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		options[strings.ToLower(name)] = strings.Trim(value, `"; `)
	}

	return func(r *http.Request) (*url.URL, error) {
		own := "acquire::" + r.URL.Scheme + "::proxy"
		value := cmp.Or(options[own+"::"+strings.ToLower(r.URL.Hostname())], options[own], options["acquire::http::proxy"])
		switch {
		case strings.EqualFold(value, "DIRECT") || strings.EqualFold(value, "false"):
			return nil, nil
		case value == "":
			return http.ProxyFromEnvironment(r)
		}
		u, err := url.Parse(value)
		if err != nil {
			return nil, fmt.Errorf("apt's proxy %q is not an address: %w", value, err)
		}
		return u, nil
	}
}
