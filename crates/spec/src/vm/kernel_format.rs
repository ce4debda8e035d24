//! In which form a hypervisor takes the guest's kernel.

use super::{Arch, Hypervisor};

/// Form of a kernel image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelFormat {
    /// x86's: a boot loader's header, and the kernel packed after it.
    BzImage,
    /// What is packed in it: `vmlinux`.
    Elf,
    /// arm64's, not packed.
    Image,
}

impl Hypervisor {
    /// The form that this hypervisor boots on an architecture.
    pub const fn kernel_format(self, arch: Arch) -> KernelFormat {
        match (arch, self) {
            (Arch::Aarch64, _) => KernelFormat::Image,
            (Arch::X86_64, Self::CloudHypervisor | Self::Firecracker | Self::Crosvm) => {
                KernelFormat::Elf
            }
            (Arch::X86_64, _) => KernelFormat::BzImage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_hypervisors_want_the_kernel_unpacked() {
        let elf = Hypervisor::ALL
            .into_iter()
            .filter(|one| one.kernel_format(Arch::X86_64) == KernelFormat::Elf);
        assert_eq!(
            elf.collect::<Vec<_>>(),
            [
                Hypervisor::CloudHypervisor,
                Hypervisor::Firecracker,
                Hypervisor::Crosvm
            ]
        );
        let arm = |one: Hypervisor| one.kernel_format(Arch::Aarch64) == KernelFormat::Image;
        assert!(Hypervisor::ALL.into_iter().all(arm));
    }
}
