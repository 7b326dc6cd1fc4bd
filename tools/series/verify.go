// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"fmt"
	"strings"
)

// minAbbrev is the shortest blob id that git takes for one.
const minAbbrev = 4

// idState is what a blob id of an index line says of a file's content.
type idState int

const (
	idAbsent idState = iota // the patch has no index line
	idSame
	idDifferent
)

// checkID compares an id of an index line, abbreviated as it stands there,
// with a file; nil is a file that does not exist, which git writes as zeros.
func checkID(prefix string, n *node) (idState, error) {
	if prefix == "" {
		return idAbsent, nil
	}
	if len(prefix) < minAbbrev || len(prefix) > 40 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return idDifferent, fmt.Errorf("the index line has %q, which is no blob id of git's", prefix)
	}
	id := zeroID
	if n != nil {
		id = n.blobID()
	}
	if strings.HasPrefix(id, prefix) {
		return idSame, nil
	}
	return idDifferent, nil
}

const zeroID = "0000000000000000000000000000000000000000"

// describeID returns a file's blob id as an index line would have it: as long
// as the one that it is compared with.
func describeID(n *node, like string) string {
	if n == nil {
		return "no file"
	}
	return n.blobID()[:min(40, max(minAbbrev, len(like)))]
}
