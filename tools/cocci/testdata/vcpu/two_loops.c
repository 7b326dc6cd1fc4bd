// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two loops share a counter that nothing else uses.
 */

/* arch/x86/kvm/x86.c */
static void kvm_end_pvclock_update(struct kvm *kvm)
{
	struct kvm_arch *ka = &kvm->arch;
	struct kvm_vcpu *vcpu;
	unsigned long i;

	write_seqcount_end(&ka->pvclock_sc);
	raw_spin_unlock_irq(&ka->tsc_write_lock);
	kvm_for_each_vcpu(i, vcpu, kvm)
		kvm_make_request(KVM_REQ_CLOCK_UPDATE, vcpu);

	/* guest entries allowed */
	kvm_for_each_vcpu(i, vcpu, kvm)
		kvm_clear_request(KVM_REQ_MCLOCK_INPROGRESS, vcpu);
}

/* arch/arm64/kvm/vgic/vgic-init.c */
int kvm_vgic_create(struct kvm *kvm, u32 type)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;
	int ret;

	/*
	 * This function is also called by the KVM_CREATE_IRQCHIP handler,
	 * which had no chance yet to check the availability of the GICv2
	 * emulation. So check this here again. KVM_CREATE_DEVICE does
	 * the proper checks already.
	 */
	if (type == KVM_DEV_TYPE_ARM_VGIC_V2 &&
		!kvm_vgic_global_state.can_emulate_gicv2)
		return -ENODEV;

	/*
	 * Ensure mutual exclusion with vCPU creation and any vCPU ioctls by:
	 *
	 *  - Holding kvm->lock to prevent KVM_CREATE_VCPU from reaching
	 *    kvm_arch_vcpu_precreate() and ensuring created_vcpus is stable.
	 *    This alone is insufficient, as kvm_vm_ioctl_create_vcpu() drops
	 *    the kvm->lock before completing the vCPU creation.
	 */
	lockdep_assert_held(&kvm->lock);

	/*
	 *  - Acquiring the vCPU mutex for every *online* vCPU to prevent
	 *    concurrent vCPU ioctls for vCPUs already visible to userspace.
	 *    This also ensures KVM isn't in the middle of creating a vCPU,
	 *    i.e. that there are no vCPUs that have been created but aren't
	 *    yet fully online.
	 */
	ret = -EBUSY;
	if (kvm_trylock_all_vcpus(kvm))
		return ret;

	/*
	 *  - Taking the config_lock which protects VGIC data structures such
	 *    as the per-vCPU arrays of private IRQs (SGIs, PPIs).
	 *
	 * The whole combination of this guarantees that no vCPU can get into
	 * KVM with a VGIC configuration inconsistent with the VM's VGIC.
	 */
	mutex_lock(&kvm->arch.config_lock);

	if (irqchip_in_kernel(kvm)) {
		ret = -EEXIST;
		goto out_unlock;
	}

	kvm_for_each_vcpu(i, vcpu, kvm) {
		if (vcpu_has_run_once(vcpu))
			goto out_unlock;
	}
	ret = 0;

	if (type == KVM_DEV_TYPE_ARM_VGIC_V2)
		kvm->max_vcpus = VGIC_V2_MAX_CPUS;
	else if (type == KVM_DEV_TYPE_ARM_VGIC_V3)
		kvm->max_vcpus = VGIC_V3_MAX_CPUS;
	else if (type == KVM_DEV_TYPE_ARM_VGIC_V5)
		kvm->max_vcpus = min(VGIC_V5_MAX_CPUS,
				     kvm_vgic_global_state.max_gic_vcpus);

	if (atomic_read(&kvm->online_vcpus) > kvm->max_vcpus) {
		ret = -E2BIG;
		goto out_unlock;
	}

	kvm->arch.vgic.in_kernel = true;
	kvm->arch.vgic.vgic_model = type;
	kvm->arch.vgic.implementation_rev = KVM_VGIC_IMP_REV_LATEST;
	kvm->arch.vgic.vgic_dist_base = VGIC_ADDR_UNDEF;

	switch (type) {
	case KVM_DEV_TYPE_ARM_VGIC_V2:
		kvm->arch.vgic.vgic_cpu_base = VGIC_ADDR_UNDEF;
		break;
	case KVM_DEV_TYPE_ARM_VGIC_V3:
		INIT_LIST_HEAD(&kvm->arch.vgic.rd_regions);
		break;
	}

	/*
	 * We've now created the GIC. Update the system register state
	 * to accurately reflect what we've created.
	 */
	kvm_vgic_finalize_idregs(kvm);

	kvm_for_each_vcpu(i, vcpu, kvm) {
		ret = vgic_allocate_private_irqs_locked(vcpu, type);
		if (ret)
			break;
	}

	if (ret) {
		kvm_for_each_vcpu(i, vcpu, kvm) {
			struct vgic_cpu *vgic_cpu = &vcpu->arch.vgic_cpu;
			kfree(vgic_cpu->private_irqs);
			vgic_cpu->private_irqs = NULL;
		}

		kvm->arch.vgic.vgic_model = 0;
		kvm->arch.vgic.in_kernel = false;
		goto out_unlock;
	}

	if (type == KVM_DEV_TYPE_ARM_VGIC_V3)
		kvm->arch.vgic.nassgicap = system_supports_direct_sgis();

	/*
	 * We now know that we have a GICv5. The Arch Timer PPI interrupts may
	 * have been initialised at this stage, but will have done so assuming
	 * that we have an older GIC, meaning that the IntIDs won't be
	 * correct. We init them again, and this time they will be correct.
	 */
	if (type == KVM_DEV_TYPE_ARM_VGIC_V5)
		kvm_timer_init_vm(kvm);

out_unlock:
	mutex_unlock(&kvm->arch.config_lock);
	kvm_unlock_all_vcpus(kvm);
	return ret;
}
