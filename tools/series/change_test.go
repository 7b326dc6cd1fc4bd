// SPDX-License-Identifier: GPL-2.0-only

package series

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestChange counts what patches change in each place that counts, and nothing of
// selftests and documentation.
func TestChange(t *testing.T) {
	diff := func(path string) string {
		return "diff --git a/" + path + " b/" + path + "\n--- a/" + path + "\n+++ b/" + path + "\n@@ -1,2 +1,3 @@\n line\n-old\n+new\n+another\n"
	}
	dir := t.TempDir()
	for name, patch := range map[string]string{
		"0001.patch": diff("virt/kvm/kvm_main.c") + diff("arch/x86/kvm/x86.c"),
		"0002.patch": diff("arch/s390/kvm/s390.c") + diff("arch/x86/kvm/svm/svm.c") +
			diff("tools/testing/selftests/kvm/a.c") + diff("Documentation/arch/arm64/kvm/a.rst"),
	} {
		mail := "From 0 Mon Sep 17 00:00:00 2001\nFrom: A <a@example.org>\nSubject: [PATCH] " + name + "\n\nMessage.\n---\n" + patch
		if err := os.WriteFile(filepath.Join(dir, name), []byte(mail), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Change(); c.Added != 8 || c.Removed != 4 || !slices.Equal(c.Architectures, []string{"s390", "x86"}) {
		t.Errorf("expected 8 lines added and 4 removed, of s390 and x86, found %+v", c)
	}
}
