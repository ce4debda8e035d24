//! How a guest gets its credentials where the hypervisor cannot hand them to its systemd itself.

use crate::vm::Hypervisor;

/// Serial number of the small read-only disk that holds them, after all volumes; the host makes
/// it at each start.
pub const DISK_SERIAL: &str = "credentials";

/// Whether credentials come on a disk; else in the machine's firmware configuration (fw_cfg), which
/// alioth has too, but in no table where Linux would find it (0.12).
pub const fn on_disk(hypervisor: Hypervisor) -> bool {
    !matches!(hypervisor, Hypervisor::Qemu)
}
