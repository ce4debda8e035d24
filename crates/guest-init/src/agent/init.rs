//! Asks PID 1 to power off.

use std::path::Path;
use std::process::Command;

use nix::libc;

use crate::shutdown;

/// SIGRTMIN+4 as the C library of every guest with systemd counts: "Powers off the machine, starts
/// the poweroff.target unit" (systemd(1)).
const SYSTEMD_POWER_OFF: i32 = 38;

/// What the kernel says of PID 1 as long as it is guest-init.
const OURS: &str = "/init (deleted)";

/// Where systems without systemd have it.
const PROGRAMS: [&str; 4] = [
    "/sbin/poweroff",
    "/usr/sbin/poweroff",
    "/bin/poweroff",
    "/usr/bin/poweroff",
];

/// How this guest's init is asked.
pub enum Way {
    Signal,
    /// What the signals of other inits mean differs from one to the next.
    Program(&'static str),
}

/// Looks which init the guest runs.
pub fn way() -> Result<Way, &'static str> {
    let init = std::fs::read_link("/proc/1/exe").map_err(|_| "there is no init")?;
    let init = init.to_string_lossy();
    if init == OURS {
        return Err("the guest's init does not run yet");
    }
    // One that was upgraded since it started is deleted as well.
    let path = init.strip_suffix(" (deleted)").unwrap_or(&init);
    if path.ends_with("/systemd") || path == shutdown::PROGRAM {
        let status = std::fs::read_to_string("/proc/1/status").unwrap_or_default();
        return match awaits(&status, SYSTEMD_POWER_OFF) {
            true => Ok(Way::Signal),
            // The kernel keeps from PID 1 what it does not wait for.
            false => Err("the guest's init does not take requests yet"),
        };
    }
    let there = |program: &&str| Path::new(program).exists();
    let program = PROGRAMS.into_iter().find(there);
    program
        .map(Way::Program)
        .ok_or("the guest's init is not systemd, and there is no program `poweroff`")
}

/// Asks in this way.
pub fn ask(way: &Way) -> Result<(), String> {
    match way {
        Way::Signal => signal(),
        Way::Program(program) => match Command::new(program).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{program}` ended with {status}")),
            Err(error) => Err(format!("cannot run `{program}`: {error}")),
        },
    }
}

#[expect(unsafe_code, reason = "nix has no real-time signals")]
fn signal() -> Result<(), String> {
    // SAFETY: kill(2) takes two numbers.
    let result = unsafe { libc::kill(1, SYSTEMD_POWER_OFF) };
    match result {
        0 => Ok(()),
        _ => Err(format!(
            "cannot signal the guest's init: {}",
            std::io::Error::last_os_error()
        )),
    }
}

/// Whether a process catches a signal, or blocks it and reads it from a signalfd, as systemd does.
fn awaits(status: &str, signal: i32) -> bool {
    let lines = status.lines();
    let masks = lines.filter_map(|line| {
        let (name, mask) = line.split_once(':')?;
        let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
        matches!(name, "SigBlk" | "SigCgt").then_some(mask)
    });
    masks.fold(0, |all, mask| all | mask) >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_systemd_that_runs_awaits_the_signal() {
        // systemd 252, once it serves.
        let serves = "Name:\tsystemd\nSigQ:\t3/1761\nSigBlk:\t7be3c0fe28014a03\n\
                      SigIgn:\t0000000000001000\nSigCgt:\t00000001000004ec\n";
        assert!(awaits(serves, SYSTEMD_POWER_OFF));
        let starts = "SigBlk:\t0000000000000000\nSigIgn:\t7be3c0fe28014a03\nSigCgt:\t0\n";
        assert!(!awaits(starts, SYSTEMD_POWER_OFF));
        assert!(!awaits("", SYSTEMD_POWER_OFF));
    }
}
