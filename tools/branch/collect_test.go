// SPDX-License-Identifier: GPL-2.0-only

package branch

import (
	"testing"

	"vcpulab/tools/series"
)

// TestCoverOf: what people wrote stays, what git counts is counted again.
func TestCoverOf(t *testing.T) {
	const git = "Subject: [PATCH 00/12] *** SUBJECT HERE ***\n\n*** BLURB HERE ***\n\nA (12):\n  KVM: One\n\n a.c | 2 +-\n\n"
	for name, test := range map[string]struct{ letter, want string }{
		"with tables": {
			"Subject: [RFC PATCH v2 0/3] KVM: All\n\nSee 1/3.\n\nA (3):\n  KVM: Old\n\n b.c | 1 +\n\n",
			"Subject: [RFC PATCH v2 00/12] KVM: All\n\nSee 1/3.\n\nA (12):\n  KVM: One\n\n a.c | 2 +-\n\n",
		},
		"without": {
			"Subject: [PATCH 0/3] KVM: All\n\nA (sentence).\n",
			"Subject: [PATCH 00/12] KVM: All\n\nA (sentence).\n\nA (12):\n  KVM: One\n\n a.c | 2 +-\n\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := coverOf(&series.Series{Cover: &series.Patch{Mail: []byte(test.letter)}}, 12, []byte(git))
			if err != nil || string(got) != test.want {
				t.Errorf("expected\n%s\nfound\n%s\n%v", test.want, got, err)
			}
		})
	}
	if _, err := coverOf(&series.Series{Cover: new(series.Patch)}, 1, nil); err == nil {
		t.Error("expected an error for a letter that is not git's")
	}
}

func TestPackaging(t *testing.T) {
	const kernel = "*.o\n/tags\n!/.gitignore\nvmlinux/*\n"
	if got := packaging.ReplaceAllString(kernel+"#\n/*\n!/debian/\n", ""); got != kernel+"#\n" {
		t.Errorf("expected Debian's two lines to be gone, found\n%s", got)
	}
}
