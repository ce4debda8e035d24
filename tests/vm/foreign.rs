//! A guest of another architecture: its packages are set up, and its processor is run, by
//! emulation.

use std::process::Command;
use std::time::Duration;

use harness::{Fleet, Outcome, check, host};

use crate::roots::left_clean;

/// Its kernel and its systemd are emulated twice as slowly as those of the host's architecture.
const BOOT: Duration = Duration::from_secs(600);
const STOP: Duration = Duration::from_secs(180);
/// Part number of the processor that the definition names: Cortex-A72.
const PART: &str = "0xd08";

pub fn aarch64(fleet: &Fleet) -> Outcome {
    let package = fleet.build("arm")?;
    for turn in 1..=2 {
        let mut guest = fleet.run("arm")?;
        guest.wait_for_ssh_within(BOOT)?;
        let machine = guest.ssh("uname -m; dpkg --print-architecture; cat /proc/cpuinfo")?;
        check!(
            machine.starts_with("aarch64\narm64\n") && machine.contains(PART),
            "the guest is not an aarch64 with the part {PART}: {machine}"
        );
        let boots = guest.ssh("echo >>/var/boots; findmnt -no FSTYPE /var; wc -l </var/boots")?;
        check!(
            boots == format!("ext4\n{turn}"),
            "/var is not the volume that was there {turn} times: {boots}"
        );
        let mut shutdown = Command::new(package.join("bin/microvm-shutdown"));
        shutdown.env("MICROVM_SHUTDOWN_TIMEOUT", "300");
        host::output(shutdown.current_dir(guest.state()))?;
        let status = guest.wait(STOP)?;
        check!(
            status.success(),
            "boot {turn} ended with {status}:\n{}",
            guest.tail()
        );
        left_clean(guest.state())?;
        let image = guest.state().join("var.img");
        host::output(Command::new("e2fsck").args(["-fn"]).arg(image))?;
    }
    Ok(())
}

/// Why it cannot be tried on this host.
pub fn lacks(fleet: &Fleet) -> Option<String> {
    if std::env::var_os("MICROVM_ARM").is_none_or(|value| value != "1") {
        return Some("building it takes many minutes of emulation; MICROVM_ARM=1 tries it".into());
    }
    let programs = ["qemu-system-aarch64", "arch-test"];
    if let Some(why) = programs.into_iter().find_map(host::lacks) {
        return Some(why);
    }
    if host::output(Command::new("arch-test").arg("arm64")).is_err() {
        return Some("no emulator is registered for programs of aarch64".into());
    }
    let failure = fleet.build("arm").err()?.to_string();
    let without = failure.contains("built without the initrd");
    without.then(|| "this `microvm` was built without the initrd of aarch64".into())
}
