// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// idState is what a blob id of an index line says of a file's content.
type idState int

const (
	idAbsent idState = iota // the patch has no index line
	idSame
	idDifferent
)

// blobID is an id of an index line: of git's SHA-1, abbreviated or not.
var blobID = regexp.MustCompile(`^[0-9a-f]{4,40}$`)

// checkIndexLine refuses an index line whose ids are not git blob ids.
func checkIndexLine(g *gitdiff.File) error {
	for _, id := range []string{g.OldOIDPrefix, g.NewOIDPrefix} {
		if !blobID.MatchString(id) && (g.OldOIDPrefix != "" || g.NewOIDPrefix != "") {
			return fmt.Errorf("the index line has %q, which is not a git blob id", id)
		}
	}
	return nil
}

// checkID compares an id of an index line, abbreviated as it stands there,
// with a file; nil is a file that does not exist, which git writes as zeros.
func checkID(prefix string, n *node) idState {
	id := zeroID
	if n != nil && prefix != "" {
		id = n.blobID()
	}
	switch {
	case prefix == "":
		return idAbsent
	case strings.HasPrefix(id, prefix):
		return idSame
	}
	return idDifferent
}

const zeroID = "0000000000000000000000000000000000000000"

// describeID returns a file's blob id as an index line would have it: as long
// as the one that it is compared with.
func describeID(n *node, like string) string {
	if n == nil {
		return "no file"
	}
	return n.blobID()[:cmp.Or(len(like), 40)]
}
