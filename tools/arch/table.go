// SPDX-License-Identifier: GPL-2.0-only

package arch

// table is ordered as reports are.
var table = []Arch{
	{
		Name: "x86_64", Uname: "x86_64", GoArch: "amd64", Debian: "amd64",
		Make: "x86_64", Source: "x86", Cross: "x86_64-linux-gnu-", Steps: 1770,
		// QEMU starts a vmlinux by PVH. A bzImage takes 50 more files and 3 s
		// of compression to build and boots slower.
		ImageTarget: "vmlinux", ImagePath: "vmlinux",
		Selftests: true,
		QuickTests: []string{
			"kvm_create_max_vcpus", "kvm_binary_stats_test", "x86/set_boot_cpu_id", "x86/max_vcpuid_cap_test",
			"x86/recalc_apic_map_test", "x86/xapic_ipi_test",
		},
		KVMModules: []KVMModule{{"kvm-amd", "svm"}, {"kvm-intel", "vmx"}},
		QEMU: QEMU{
			Program: "qemu-system-x86_64", Package: "qemu-system-x86", Console: "ttyS0",
			// AMD's virtualization is the only one that TCG emulates.
			TCG: Hardware{Machine: "q35", CPU: "max,+svm"},
			KVM: Hardware{Machine: "q35", CPU: "host"},
			// On a busy host the timer's interrupts come late and the kernel
			// panics with "8254 timer not connected to IO-APIC".
			AppendTCG: []string{"no_timer_check"},
			// Calibrating the local APIC's timer takes 100 million
			// instructions, without a PM timer 200 million and sometimes never
			// ends. The HPET does as well where the clock is exact; elsewhere
			// it loses events.
			AppendICount: []string{"nolapic_timer"},
			PC:           `[RE]IP=`,
		},
		PC: `RIP: \w+:`,
	},
	{
		Name: "arm64", Uname: "aarch64", GoArch: "arm64", Debian: "arm64", Group: "arm64",
		Make: "arm64", Source: "arm64", Cross: "aarch64-linux-gnu-", Steps: 1500,
		ImageTarget: "Image", ImagePath: "arch/arm64/boot/Image",
		Selftests: true,
		QuickTests: []string{
			"kvm_create_max_vcpus", "kvm_binary_stats_test", "steal_time", "arm64/no-vgic", "arm64/psci_test",
			"arm64/set_id_regs", "arm64/vgic_init", "arm64/vgic_irq", "arm64/vgic_its_save", "arm64/vgic_lpi_stress",
		},
		QEMU: QEMU{
			Program: "qemu-system-aarch64", Package: "qemu-system-arm", Console: "ttyAMA0",
			// With EL2, in which KVM runs in VHE mode.
			TCG: Hardware{Machine: "virt,virtualization=on,gic-version=3", CPU: "cortex-a76"},
			KVM: Hardware{Machine: "virt,gic-version=host", CPU: "host"},
			PC:  `PC=`,
		},
		PC: `pc : `,
	},
	{
		Name: "riscv64", Uname: "riscv64", GoArch: "riscv64", Debian: "riscv64", Group: "riscv64",
		Make: "riscv", Source: "riscv", Cross: "riscv64-linux-gnu-", Steps: 1400,
		// gcc 12, which Debian 12 has, lacks the vector extension, without
		// which KVM does not compile.
		Compiler:    "clang-19",
		ImageTarget: "Image", ImagePath: "arch/riscv/boot/Image",
		Selftests: true,
		QuickTests: []string{
			"kvm_create_max_vcpus", "kvm_binary_stats_test", "steal_time", "arch_timer", "riscv/ebreak_test",
		},
		QEMU: QEMU{
			Program: "qemu-system-riscv64", Package: "qemu-system-misc", Console: "ttyS0",
			// With the hypervisor extension, started by QEMU's own OpenSBI.
			TCG: Hardware{Machine: "virt", CPU: "rv64,h=true"},
			KVM: Hardware{Machine: "virt", CPU: "host"},
			// Shows what fails before there is a console.
			Append: []string{"earlycon"},
			PC:     `pc +`,
		},
		PC: `epc : `,
	},
	{
		Name: "s390x", Uname: "s390x", GoArch: "s390x", Debian: "s390x", Group: "s390x",
		Make: "s390", Source: "s390", Cross: "s390x-linux-gnu-",
		ImageTarget: "bzImage", ImagePath: "arch/s390/boot/bzImage",
		Selftests: true,
	},
	{
		Name: "ppc64le", Uname: "ppc64le", GoArch: "ppc64le", Debian: "ppc64el", Group: "ppc64le",
		Make: "powerpc", Source: "powerpc", Cross: "powerpc64le-linux-gnu-",
		ImageTarget: "vmlinux", ImagePath: "vmlinux",
	},
	{
		Name: "mips64el", Uname: "mips64", GoArch: "mips64le", Debian: "mips64el", Group: "mips64el",
		Make: "mips", Source: "mips", Cross: "mips64el-linux-gnuabi64-",
		ImageTarget: "vmlinux", ImagePath: "vmlinux",
	},
	{
		Name: "loongarch64", Uname: "loongarch64", GoArch: "loong64", Debian: "loong64", Group: "loongarch64",
		Make: "loongarch", Source: "loongarch", Cross: "loongarch64-linux-gnu-",
		ImageTarget: "vmlinux.efi", ImagePath: "arch/loongarch/boot/vmlinux.efi",
		Selftests: true,
	},
}
