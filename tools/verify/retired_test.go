// SPDX-License-Identifier: GPL-2.0-only

package verify

import (
	"os"
	"strings"
	"testing"

	"vcpulab/tools/exit"
)

func TestOwnRetired(t *testing.T) {
	s := own(t)
	t.Run("as it is", func(t *testing.T) { want(t, findings(t, retired, s)) })
	for name, c := range map[string]struct {
		file, old, new string
		want           []string
	}{
		"a call on s390":       {"arch/s390/kvm/s390/s390.c", "kvm_for_each_vcpu(vcpu, kvm)", "kvm_for_each_vcpu(i, vcpu, kvm)", []string{"arch/s390/kvm/s390/s390.c:", "gone since", "kvm_for_each_vcpu(i, vcpu, kvm)"}},
		"over two lines":       {"arch/riscv/kvm/vmid.c", "kvm_for_each_vcpu(v, ", "kvm_for_each_vcpu(i,\n\t\t\t  v, ", []string{"arch/riscv/kvm/vmid.c:"}},
		"a comment":            {"include/linux/kvm_host.h", "/* index into kvm->vcpus */", "/* index into kvm->vcpu_array */", []string{"include/linux/kvm_host.h:", "vcpu_array"}},
		"a document":           {"Documentation/virt/kvm/locking.rst", "online_vcpus", "vcpu_array", []string{"Documentation/virt/kvm/locking.rst:"}},
		"a field of an attr":   {"Documentation/virt/kvm/devices/arm-vgic.rst", "Invalid vcpu_id", "Invalid vcpu_index", []string{"Documentation/virt/kvm/devices/arm-vgic.rst:", "vcpu_id, which"}},
		"of the other variant": {"virt/kvm/kvm_main.c", "kvm_for_each_vcpu(", "__kvm_for_each_vcpu2(", []string{"virt/kvm/kvm_main.c:"}},
	} {
		t.Run(name, func(t *testing.T) { want(t, findings(t, retired, edited(t, s, c.file, c.old, c.new)), c.want...) })
	}
	t.Run("an entry of nothing", func(t *testing.T) {
		other := *s
		other.Tables = t.TempDir()
		table := "in = ['virt']\n[[interface]]\npattern = '\\bkvm_never_was\\b'\nsubject = 'KVM: Drop it'\ninstead = 'nothing'\n"
		if err := os.WriteFile(other.table(retiredFile), []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
		found := findings(t, retired, &other)
		want(t, found, "no patch removes anything")
		want(t, found, "no patch has the subject")
	})
}

func TestLoadRetiredBad(t *testing.T) {
	for name, c := range map[string]struct{ table, want string }{
		"expression": {"[[interface]]\npattern = '('\nsubject = 'a'\ninstead = 'b'\n", "missing closing )"},
		"no subject": {"[[interface]]\npattern = 'a'\ninstead = 'b'\n", "interface 1: it has to say"},
	} {
		t.Run(name, func(t *testing.T) {
			file := t.TempDir() + "/retired.toml"
			if err := os.WriteFile(file, []byte(c.table), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := loadRetired(file); exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), c.want) {
				t.Errorf("expected %q and exit code %d, found %v", c.want, exit.Usage, err)
			}
		})
	}
}
