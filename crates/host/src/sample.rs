//! What VMs cost their host, as the kernel counts it: processor time, memory, disk and network.
//! It looks, and asks no hypervisor anything.
//!
//! Files are read below a root directory, `/` on a host.

mod holders;
mod process;
mod rates;
mod traffic;

use std::path::PathBuf;
use std::time::Duration;

pub use holders::Holder;
pub use process::{Disk, Figures};
pub use rates::{Rates, rates};
pub use traffic::Traffic;

/// Reads what the kernel tells below a root directory.
#[derive(Clone, Debug)]
pub struct Kernel {
    root: PathBuf,
    ticks_per_second: u64,
}

impl Kernel {
    /// Of this host.
    pub fn here() -> Self {
        let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
        let ticks = ticks.ok().flatten().and_then(|t| u64::try_from(t).ok());
        // What Linux has told user space on every architecture of ours.
        Self::below("/", ticks.filter(|t| *t > 0).unwrap_or(100))
    }

    pub fn below(root: impl Into<PathBuf>, ticks_per_second: u64) -> Self {
        let root = root.into();
        Self {
            root,
            ticks_per_second,
        }
    }

    /// Time since the host started.
    pub fn uptime(&self) -> Option<Duration> {
        let text = self.read("proc/uptime")?;
        let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Memory of the host and what of it is in use, in bytes: what could not be had without
    /// taking it from somebody.
    pub fn memory(&self) -> Option<(u64, u64)> {
        let text = self.read("proc/meminfo")?;
        let total = process::kib(&text, "MemTotal:")?;
        let available = process::kib(&text, "MemAvailable:")?;
        Some((total, total.saturating_sub(available)))
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path)).ok()
    }

    fn of_ticks(&self, ticks: u64) -> Duration {
        Duration::from_millis(ticks.saturating_mul(1000) / self.ticks_per_second)
    }
}

#[cfg(test)]
mod tests;
