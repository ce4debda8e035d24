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

/// Whether the tree has a unit of this name.
pub(super) fn exists(root: &Path, unit: &str) -> bool {
    ["etc", "usr/lib", "lib"]
        .iter()
        .any(|dir| root.join(dir).join("systemd/system").join(unit).exists())
}

/// Disables the housekeeping that nobody asked for.
pub(super) fn disable_slow(root: &Path, asked: &[String]) -> Result<(), Error> {
    for target in write::list(&root.join("etc/systemd/system")) {
        if !target.to_string_lossy().ends_with(".wants") {
            continue;
        }
        for unit in SLOW {
            if !asked.iter().any(|name| name == unit) {
                write::remove(&target.join(unit))?;
            }
        }
    }
    Ok(())
}
