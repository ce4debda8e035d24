//! The end of the VM: a power-off or a reset, whichever ends its hypervisor.

use std::sync::OnceLock;

use guest_init::config::Leave;
use nix::sys::reboot::{RebootMode, reboot};

/// What the configuration said, as soon as it was read.
static LEAVE: OnceLock<Leave> = OnceLock::new();

/// Remembers how this VM ends.
pub fn remember(leave: Leave) {
    let _ = LEAVE.set(leave);
}

/// What was remembered.
pub fn remembered() -> Leave {
    LEAVE.get().copied().unwrap_or_default()
}

/// Ends the VM after a boot that failed.
pub fn give_up() -> ! {
    now("reboot", remembered())
}

/// Does what systemd-shutdown was asked to do (`poweroff`, `halt`, `reboot`, `kexec`), in the way
/// that ends the hypervisor.
pub fn now(verb: &str, leave: Leave) -> ! {
    nix::unistd::sync();
    for mode in modes(verb, leave) {
        // Comes back only where it failed: without a kernel that kexec could start.
        let _ = reboot(mode);
    }
    loop {
        std::thread::park();
    }
}

fn modes(verb: &str, leave: Leave) -> Vec<RebootMode> {
    let last = match (leave, verb) {
        (Leave::Reset, _) => RebootMode::RB_AUTOBOOT,
        (Leave::PowerOff, _) | (Leave::AsAsked, "poweroff") => RebootMode::RB_POWER_OFF,
        (Leave::AsAsked, "halt") => RebootMode::RB_HALT_SYSTEM,
        (Leave::AsAsked, _) => RebootMode::RB_AUTOBOOT,
    };
    match verb {
        "kexec" => vec![RebootMode::RB_KEXEC, last],
        _ => vec![last],
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("poweroff", Leave::AsAsked, &[RebootMode::RB_POWER_OFF])]
    #[case("halt", Leave::AsAsked, &[RebootMode::RB_HALT_SYSTEM])]
    #[case("reboot", Leave::AsAsked, &[RebootMode::RB_AUTOBOOT])]
    #[case("poweroff", Leave::Reset, &[RebootMode::RB_AUTOBOOT])]
    #[case("halt", Leave::Reset, &[RebootMode::RB_AUTOBOOT])]
    #[case("reboot", Leave::PowerOff, &[RebootMode::RB_POWER_OFF])]
    #[case("halt", Leave::PowerOff, &[RebootMode::RB_POWER_OFF])]
    #[case("kexec", Leave::Reset, &[RebootMode::RB_KEXEC, RebootMode::RB_AUTOBOOT])]
    fn a_hypervisor_gets_what_ends_it(
        #[case] verb: &str,
        #[case] leave: Leave,
        #[case] expected: &[RebootMode],
    ) {
        assert_eq!(modes(verb, leave), expected);
    }
}
