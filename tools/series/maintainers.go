// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Recipient is a person or a list that MAINTAINERS names for what a series touches.
type Recipient struct {
	Name    string `json:"name,omitempty"` // "" for a list
	Address string `json:"address"`
	// Roles are as "maintainer:KERNEL VIRTUAL MACHINE (KVM)" or "open list".
	Roles []string `json:"roles"`
}

// String returns the recipient as mails have it.
func (r Recipient) String() string {
	if r.Name == "" {
		return r.Address
	}
	return mailName(r.Name) + " <" + r.Address + ">"
}

// To reports whether the mails go to the recipient, who decides, rather than in copy.
func (r Recipient) To() bool {
	return slices.ContainsFunc(r.Roles, func(role string) bool {
		return strings.HasPrefix(role, "maintainer") || strings.HasPrefix(role, "supporter")
	})
}

const maintainerScript = "scripts/get_maintainer.pl"

// Maintainers asks the get_maintainer.pl of the kernel tree in treeDir who gets the series: by
// MAINTAINERS alone, not by git's history, so that the answer is the same everywhere.
func Maintainers(ctx context.Context, treeDir string, s *Series) ([]Recipient, error) {
	var patches bytes.Buffer
	for _, p := range s.Patches {
		patches.Write(p.Mail)
	}
	out, _, err := script(ctx, treeDir, maintainerScript, patches.Bytes(),
		"--nogit", "--nogit-fallback", "--nofixes", "--roles", "--norolestats")
	if err != nil {
		return nil, fmt.Errorf("find the recipients: %w", err)
	}
	list, err := parseMaintainers(string(out))
	if err == nil && len(list) == 0 {
		err = errors.New("it names no recipient")
	}
	if err != nil {
		return nil, fmt.Errorf("find the recipients: read the output of %s: %w", maintainerScript, err)
	}
	return list, nil
}

var maintainerLine = regexp.MustCompile(`^(?:(.*?) )?<?([^\s<>()"@]+@[^\s<>()"@]+?)>? \((.+)\)$`)

// parseMaintainers reads a line per address, "Name <address> (role,role)".
func parseMaintainers(out string) ([]Recipient, error) {
	var list []Recipient
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		m := maintainerLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("no address and role in %q", clip([]byte(line)))
		}
		roles := strings.Split(roleStart.ReplaceAllString(m[3], "\n$1"), "\n")
		list = append(list, Recipient{Name: strings.Trim(strings.TrimSpace(m[1]), `"`), Address: m[2], Roles: roles})
	}
	return list, nil
}

// roleStart is the comma before a role and the words that a role starts with
// (get_maintainer_role() and get_list_role() in get_maintainer.pl). Subsystems
// have commas and parentheses in their names, and names are cut off in the
// middle: other commas are not between roles.
var roleStart = regexp.MustCompile(`,(maintainer|supporter|reviewer|odd fixer|orphan minder|obsolete|chief penguin|open list|moderated list|subscriber list)`)
