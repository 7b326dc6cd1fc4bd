// SPDX-License-Identifier: GPL-2.0-only

package kbuild

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecordedSources(t *testing.T) {
	const record = `savedcmd_arch/x86/kvm/../../../virt/kvm/eventfd.o := ccache gcc -Wp,-MMD,x.d -I../include -c -o x.o ../x.c  

source_arch/x86/kvm/../../../virt/kvm/eventfd.o := ../arch/x86/kvm/../../../virt/kvm/eventfd.c

deps_arch/x86/kvm/../../../virt/kvm/eventfd.o := \
    $(wildcard include/config/HAVE_KVM_IRQCHIP) \
  ../include/linux/kvm_host.h \
  include/generated/autoconf.h \
  ./include/generated/bounds.h \
  /usr/lib/gcc/x86_64-linux-gnu/12/include/stdarg.h \

arch/x86/kvm/../../../virt/kvm/eventfd.o: $(deps_arch/x86/kvm/../../../virt/kvm/eventfd.o)

$(deps_arch/x86/kvm/../../../virt/kvm/eventfd.o):
`
	want := []string{"virt/kvm/eventfd.c", "include/linux/kvm_host.h", "out/include/generated/autoconf.h", "out/include/generated/bounds.h"}
	if diff := cmp.Diff(want, recordedSources(record)); diff != "" {
		t.Error(diff)
	}
	if found := recordedSources("savedcmd_arch/x86/kvm/kvm.o := ld -r -o kvm.o a.o b.o\n"); found != nil {
		t.Errorf("of an object that is linked: %v", found)
	}
}
