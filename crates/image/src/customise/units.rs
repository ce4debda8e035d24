//! systemd units of a tree.

use std::path::Path;

use super::write;
use crate::error::Error;

/// Housekeeping for long-lived machines, which a small guest pays for at each boot.
const SLOW: [&str; 7] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "man-db.timer",
];

/// Mounts for debugging the kernel; each is a process at boot.
const MASKED: [&str; 2] = ["sys-kernel-debug.mount", "sys-kernel-tracing.mount"];
const VIRTUAL_TERMINAL: &str = "getty@tty1.service";

/// Whether the tree has a unit of this name.
pub(super) fn exists(root: &Path, unit: &str) -> bool {
    ["etc", "usr/lib", "lib"]
        .iter()
        .any(|dir| root.join(dir).join("systemd/system").join(unit).exists())
}

/// Disables the housekeeping that nobody asked for.
///
/// Without `screen` nobody sees a virtual terminal, and a login on it costs a session.
pub(super) fn disable_slow(root: &Path, asked: &[String], screen: bool) -> Result<(), Error> {
    let units = root.join("etc/systemd/system");
    let unasked = |unit: &&str| !asked.iter().any(|name| name == unit);
    let terminal = (!screen).then_some(VIRTUAL_TERMINAL);
    for target in write::list(&units) {
        if !target.to_string_lossy().ends_with(".wants") {
            continue;
        }
        for unit in SLOW.into_iter().chain(terminal).filter(unasked) {
            write::remove(&target.join(unit))?;
        }
    }
    for unit in MASKED.into_iter().filter(unasked) {
        write::link(&units.join(unit), "/dev/null")?;
    }
    mark_updated(root)
}

/// Packages have updated their caches already; otherwise systemd would do so at each boot of a
/// guest that forgets (`ConditionNeedsUpdate=`: linker cache, users, catalogue, hardware database).
fn mark_updated(root: &Path) -> Result<(), Error> {
    for dir in ["etc", "var"] {
        write::replace(&root.join(dir).join(".updated"), b"", 0o644)?;
    }
    Ok(())
}
