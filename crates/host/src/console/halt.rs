//! A guest that has halted for good on a hypervisor that runs on: its kernel said so as its last
//! words, and its processors have not run for a while.

use std::path::Path;
use std::time::{Duration, Instant};

/// What Linux prints last; it powers off by halting where a machine has no way to power off.
const LAST_WORDS: [&str; 2] = ["reboot: System halted", "reboot: Power down"];

/// A halted processor with its interrupts off never runs again; one that is merely idle wakes up
/// for its own clock within this.
const STILL: Duration = Duration::from_secs(3);

/// Watches one guest.
#[derive(Debug, Default)]
pub struct Halt {
    still: Option<(Instant, u64)>,
}

impl Halt {
    /// Whether the end of a console's output is a kernel's last word.
    pub fn is_said(console: &[u8]) -> bool {
        let tail = &console[console.len().saturating_sub(256)..];
        let text = String::from_utf8_lossy(tail);
        let last = text.trim_end().lines().last().unwrap_or_default();
        LAST_WORDS.iter().any(|words| last.ends_with(words))
    }

    /// Whether the processors, whose time of running in ns is given, have stood still long
    /// enough.
    pub fn stands_still(&mut self, ran_ns: u64, now: Instant) -> bool {
        match self.still {
            Some((since, before)) if before == ran_ns => now.duration_since(since) >= STILL,
            _ => {
                self.still = Some((now, ran_ns));
                false
            }
        }
    }
}

/// How long the threads of a hypervisor's virtual processors have run in all, in ns; `None` where
/// none is known by its name (`fc_vcpu 0`, `kvm-vcpu-0`, `CPU 0/KVM`).
pub fn processors_ran_ns(proc: &Path, process: u32) -> Option<u64> {
    let tasks = std::fs::read_dir(proc.join(process.to_string()).join("task")).ok()?;
    let ran: Vec<u64> = tasks
        .flatten()
        .filter_map(|task| {
            let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
            let is_processor = name.contains("vcpu") || name.starts_with("CPU ");
            let times = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            let ran = times.split_whitespace().next()?.parse().ok()?;
            is_processor.then_some(ran)
        })
        .collect();
    (!ran.is_empty()).then(|| ran.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("[   12.3] reboot: System halted\r\n", true)]
    #[case("old\n[   12.3] reboot: Power down\n", true)]
    #[case("[   12.3] reboot: Power down\nroot@web:~# ", false)]
    #[case("", false)]
    fn last_words(#[case] console: &str, #[case] expected: bool) {
        assert_eq!(Halt::is_said(console.as_bytes()), expected);
    }

    #[test]
    fn only_a_long_stillness_counts() {
        let (mut halt, start) = (Halt::default(), Instant::now());
        assert!(!halt.stands_still(5, start));
        assert!(!halt.stands_still(5, start + STILL / 2));
        assert!(!halt.stands_still(6, start + STILL));
        assert!(!halt.stands_still(6, start + STILL + STILL / 2));
        assert!(halt.stands_still(6, start + STILL * 2));
    }

    #[test]
    fn processors_are_known_by_their_names() {
        let proc = tempfile::tempdir().unwrap();
        for (task, name, times) in [
            ("8", "fc_vcpu 0\n", "70 1 2\n"),
            ("9", "CPU 1/KVM\n", "30 1 2\n"),
            ("7", "firecracker\n", "999 1 2\n"),
        ] {
            let task = proc.path().join("7/task").join(task);
            std::fs::create_dir_all(&task).unwrap();
            std::fs::write(task.join("comm"), name).unwrap();
            std::fs::write(task.join("schedstat"), times).unwrap();
        }
        assert_eq!(processors_ran_ns(proc.path(), 7), Some(100));
        assert_eq!(processors_ran_ns(proc.path(), 8), None);
    }
}
