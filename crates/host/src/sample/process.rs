//! One process: how long it has run, what it has used.

use std::time::Duration;

use super::Kernel;

/// What a process has used since it started, and what it holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Since the host started; with the number it tells a process from later ones of that number.
    pub started: Duration,
    /// Of all its threads, those that have ended too; one processor gives 1 s each second.
    pub processor: Duration,
    /// Pages in memory, huge ones too. What it shares with other processes counts in each.
    pub resident_bytes: u64,
    /// `None` where it is another user's.
    pub disk: Option<Disk>,
}

/// What has gone to and come from disks; what the host's cache answered has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    pub read_bytes: u64,
    pub written_bytes: u64,
}

/// Fields of `/proc/PID/stat` after the name, of which proc_pid_stat(5) counts the first as 3.
const UTIME: usize = 14 - 3;
const STIME: usize = 15 - 3;
const START: usize = 22 - 3;

impl Kernel {
    /// `None` where there is no such process.
    pub fn process(&self, pid: u32) -> Option<Figures> {
        let stat = self.read(&format!("proc/{pid}/stat"))?;
        let [user, system, start] = times(&stat)?;
        let status = self.read(&format!("proc/{pid}/status"))?;
        let io = self.read(&format!("proc/{pid}/io"));
        Some(Figures {
            started: self.of_ticks(start),
            processor: self.of_ticks(user.saturating_add(system)),
            resident_bytes: resident(&status)?,
            disk: io.as_deref().and_then(disk),
        })
    }
}

/// In ticks: as a user, as the kernel, and when it started.
fn times(stat: &str) -> Option<[u64; 3]> {
    // The name in parentheses may have spaces and parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number)?.parse().ok();
    Some([field(UTIME)?, field(STIME)?, field(START)?])
}

/// The kernel does not count huge pages as resident.
fn resident(status: &str) -> Option<u64> {
    let huge = kib(status, "HugetlbPages:").unwrap_or(0);
    Some(kib(status, "VmRSS:")?.saturating_add(huge))
}

fn disk(io: &str) -> Option<Disk> {
    let value = |key| value(io, key)?.parse().ok();
    Some(Disk {
        read_bytes: value("read_bytes:")?,
        written_bytes: value("write_bytes:")?,
    })
}

/// A value in the kernel's `kB`, which are KiB, as bytes.
pub(super) fn kib(text: &str, key: &str) -> Option<u64> {
    let kib: u64 = value(text, key)?.strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(key)).map(str::trim)
}
