// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// thread makes the mbox of a thread: each line is a mail's id, those that it refers to,
// and after a colon its subject. A mail is a day younger than the one before it.
func thread(lines string) []byte {
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		ids, subject, _ := strings.Cut(strings.TrimSpace(line), ": ")
		id, refs, _ := strings.Cut(ids, " ")
		fmt.Fprintf(&b, "From mboxrd@z Thu Jan  1 00:00:00 1970\nFrom: A <a@vcpulab.invalid>\nDate: %d Mar 2026 10:00:00 +0100\nMessage-ID: <%s>\n", i+1, id)
		for _, ref := range strings.Fields(refs) {
			fmt.Fprintf(&b, "References: <%s>\n", ref)
		}
		fmt.Fprintf(&b, "Subject: %s\n\nWhy.\n\n", subject)
	}
	return []byte(b.String())
}

func TestNewest(t *testing.T) {
	tests := map[string]struct {
		thread string
		want   []string // prefixes and subjects of what is taken
		said   string   // part of what is said, or of the error where nothing is taken
	}{
		"one patch": {
			"a: [PATCH] KVM: One\n b a: Re: [PATCH] KVM: One",
			[]string{"[PATCH] KVM: One"}, "2 mails: version 1 taken, 1 patch, no cover letter; left out: 1 answer",
		},
		"a second version in answer to the first": {
			"a: [PATCH 0/2] KVM: Both\n b a: [PATCH 1/2] KVM: One\n c a: [PATCH 2/2] KVM: Two\n d a: [PATCH v2] KVM: All at once",
			[]string{"[PATCH 0/2] KVM: Both", "[PATCH 1/2] KVM: One", "[PATCH 2/2] KVM: Two"}, "left out: 0 answers, 1 patch sent in answer",
		},
		"fewer patches in the second version": {
			"a: [PATCH 0/2] KVM: Both\n b a: [PATCH 1/2] KVM: One\n c a: [PATCH 2/2] KVM: Two\n d a: [PATCH v2 0/1] KVM: Other\n e d: [PATCH v2 1/1] KVM: Another",
			[]string{"[PATCH v2 0/1] KVM: Other", "[PATCH v2 1/1] KVM: Another"}, "version 2 taken, 1 patch, cover letter \"KVM: Other\"; left out: 0 answers, version 1",
		},
		"a patch without number sent again": {
			"a: [PATCH 0/2] KVM: Both\n b a: [PATCH 1/2] KVM: One\n c a: [PATCH 2/2] KVM: Two\n d c: Re: [PATCH 2/2] KVM: Two\n e c d: [PATCH v2] KVM: Two\n f b: [PATCH v2] KVM: One\n g e: [PATCH v3] KVM: Two",
			[]string{"[PATCH 0/2] KVM: Both", "[PATCH 1/2] KVM: One (f)", "[PATCH 2/2] KVM: Two (g)"},
			"version 1, patch 2 by version 2, patch 1 by version 2, patch 2 by version 3 taken, 2 patches, cover letter \"KVM: Both\"; left out: 1 answer",
		},
		"a patch of an older version sent again": {
			"a: [PATCH 1/2] KVM: One\n b a: [PATCH 2/2] KVM: Two\n c b: [PATCH v2] KVM: Two\n d a: [PATCH v3 1/2] KVM: One\n e d: [PATCH v3 2/2] KVM: Two",
			[]string{"[PATCH v3 1/2] KVM: One", "[PATCH v3 2/2] KVM: Two"}, "version 3 taken, 2 patches, no cover letter; left out: 0 answers, version 1, version 2 of some patches",
		},
		"a patch sent again with its number": {
			"a: [PATCH 0/2] KVM: Both\n b a: [PATCH 1/2] KVM: One\n c a: [PATCH 2/2] KVM: Two\n d c: [PATCH v2 2/2] KVM: Two, better",
			[]string{"[PATCH 0/2] KVM: Both", "[PATCH 1/2] KVM: One", "[PATCH 2/2] KVM: Two, better (d)"}, "version 1, patch 2 by version 2 taken",
		},
		"all patches sent again, each in answer to its own": {
			"a: [PATCH 1/2] KVM: One\n b a: [PATCH 2/2] KVM: Two\n c a: [PATCH v2 1/2] KVM: One\n d b: [PATCH v2 2/2] KVM: Two",
			[]string{"[PATCH v2 1/2] KVM: One", "[PATCH v2 2/2] KVM: Two"}, "version 2 taken, 2 patches, no cover letter; left out: 0 answers, version 1",
		},
		"a mail of the second version is lost": {
			"a: [PATCH 0/2] KVM: Both\n b a: [PATCH 1/2] KVM: One\n c a: [PATCH 2/2] KVM: Two\n d a: [PATCH v2 0/2] KVM: Both\n e a d: [PATCH v2 2/2] KVM: Two",
			nil, "of the 2 patches of version 2 these are missing: 1; save the mails of the whole thread",
		},
		"all patches are lost": {
			"a: [PATCH 0/2] KVM: Both\n b a: Re: [PATCH 0/2] KVM: Both",
			nil, "of \"KVM: Both\" there is the cover letter alone",
		},
		"a patch on top in answer": {
			"a: [PATCH 0/2] KVM: Both\n b a: [PATCH 1/2] KVM: One\n c a: [PATCH 2/2] KVM: Two\n d a b: [PATCH] KVM: One is wrong",
			[]string{"[PATCH 0/2] KVM: Both", "[PATCH 1/2] KVM: One", "[PATCH 2/2] KVM: Two"}, "left out: 0 answers, 1 patch sent in answer",
		},
		"as many patches in answer": {
			"a: [PATCH 1/2] KVM: One\n b a: [PATCH 2/2] KVM: Two\n c b: [PATCH 1/2] KVM: Else\n d c: [PATCH 2/2] KVM: Otherwise",
			[]string{"[PATCH 1/2] KVM: One", "[PATCH 2/2] KVM: Two"}, "left out: 0 answers, 2 patches sent in answer",
		},
		"patches in answer to a later version": {
			"a: [RFC PATCH v8 1/1] KVM: One\n b a: [PATCH 1/2] KVM: Else\n c b: [PATCH 2/2] KVM: Otherwise",
			[]string{"[RFC PATCH v8 1/1] KVM: One"}, "version 8 (RFC) taken, 1 patch, no cover letter; left out: 0 answers, 2 patches sent in answer",
		},
		"comments were asked for first": {
			"a: [RFC PATCH v2 1/1] KVM: One\n b a: [PATCH 1/1] KVM: One",
			[]string{"[PATCH 1/1] KVM: One"}, "version 1 taken, 1 patch, no cover letter; left out: 0 answers, version 2 (RFC)",
		},
		"comments were asked for at the same number": {
			"a: [RFC PATCH 1/1] KVM: One\n b a: [PATCH 1/1] KVM: One",
			[]string{"[PATCH 1/1] KVM: One (b)"}, "version 1 taken, 1 patch, no cover letter; left out: 0 answers, version 1 (RFC)",
		},
		"sent to two lists": {
			"a: [PATCH 1/1] KVM: One\n a: [PATCH 1/1] KVM: One",
			[]string{"[PATCH 1/1] KVM: One"}, "left out: 0 answers, 1 mail that came twice",
		},
		"two series": {
			"a: [PATCH 1/1] KVM: One\n b: [PATCH 1/1] KVM: Other",
			nil, "two series: \"KVM: One\" at line 1 and \"KVM: Other\" at line 9 are not of one",
		},
		"two series of several versions": {
			"a: [PATCH 1/1] KVM: One\n b: [PATCH v2 1/1] KVM: Other",
			nil, "two series: \"KVM: One\" at line 1 is version 1, and no other one of \"KVM: Other\" at line 9",
		},
		"patches that answer each other": {
			"a b: [PATCH 1/1] KVM: One\n b a: [PATCH 1/1] KVM: Other",
			nil, "two series",
		},
		"talk": {"a: lunch", nil, "no patch among 1 mail"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			mails, err := readThread(thread(test.thread))
			if err != nil {
				t.Fatal(err)
			}
			chosen, said, err := newest(mails)
			if err != nil {
				said = err.Error()
			}
			if !strings.Contains(said, test.said) {
				t.Errorf("said: %s\nwant: %s", said, test.said)
			}
			var got []string
			for i, m := range chosen {
				one := m.prefix + " " + m.Subject
				if i < len(test.want) && strings.HasSuffix(test.want[i], ")") {
					one += " (" + strings.Trim(m.id, "<>") + ")"
				}
				got = append(got, one)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("taken (-want +got):\n%s", diff)
			}
		})
	}
}
