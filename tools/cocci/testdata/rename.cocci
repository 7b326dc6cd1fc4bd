// SPDX-License-Identifier: GPL-2.0-only
//
// Generates: KVM: Get vCPUs by their index
// Paths: virt arch/*/kvm
// Places: ->vcpus\[

@@
expression kvm, i;
@@
- kvm->vcpus[i]
+ kvm_get_vcpu(kvm, i)
