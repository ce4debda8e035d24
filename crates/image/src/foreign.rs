//! Whether the programs of a guest run on this host: building a guest runs some of them (the
//! scripts of its packages, `systemctl`, the definition's `run`).
//!
//! It registers no emulator: that changes the whole host.

use std::sync::atomic::AtomicBool;

use spec::vm::Arch;

use crate::debian::debian_arch;
use crate::error::Error;
use crate::process::Tool;

/// Of another architecture they run where an emulator is registered with the kernel (binfmt_misc).
pub(crate) fn require_runnable(arch: Arch, interrupted: &AtomicBool) -> Result<(), Error> {
    if arch.as_str() == std::env::consts::ARCH {
        return Ok(());
    }
    // mmdebstrap asks the same program (1.3.5).
    let tried = Tool::new("arch-test", "arch-test")
        .arg(debian_arch(arch))
        .output(interrupted);
    match tried {
        Ok(_) => Ok(()),
        Err(Error::Failed { .. }) => Err(Error::NoEmulation { arch }),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_programs_run_without_asking() {
        let own = match std::env::consts::ARCH {
            "aarch64" => Arch::Aarch64,
            _ => Arch::X86_64,
        };
        // Were a program asked, the interrupt would stop it.
        require_runnable(own, &AtomicBool::new(true)).unwrap();
    }
}
