//! The host's processor.

use std::path::Path;

use spec::vm::Arch;

/// Whether guests of this architecture run on the host's processor.
pub fn is_native(arch: Arch) -> bool {
    match arch {
        Arch::X86_64 => cfg!(target_arch = "x86_64"),
        Arch::Aarch64 => cfg!(target_arch = "aarch64"),
    }
}

/// Whether the processor shows hardware virtualization; always true where that is not x86.
pub fn has_virtualization(proc: &Path) -> bool {
    if !cfg!(target_arch = "x86_64") {
        return true;
    }
    // An unreadable cpuinfo proves nothing against KVM.
    let Ok(text) = std::fs::read_to_string(proc.join("cpuinfo")) else {
        return true;
    };
    let flags = text.lines().find(|line| line.starts_with("flags"));
    flags.is_none_or(|line| {
        line.split_whitespace()
            .any(|flag| flag == "svm" || flag == "vmx")
    })
}

/// Measures the frequency of the TSC against a clock that NTP does not slew, from [`Tsc::watch`]
/// on for at least 1 ms, in which others may do their work.
#[cfg(target_arch = "x86_64")]
pub struct Tsc {
    ticks: u64,
    ns: u64,
}

#[cfg(target_arch = "x86_64")]
impl Tsc {
    pub fn watch() -> Self {
        let (ticks, ns) = both_clocks();
        Self { ticks, ns }
    }

    /// The frequency in kHz; waits until it can be told.
    pub fn khz(&self) -> Option<u32> {
        loop {
            let (ticks, ns) = both_clocks();
            let elapsed = ns.checked_sub(self.ns)?;
            if elapsed >= 1_000_000 {
                let ticks = u128::from(ticks.checked_sub(self.ticks)?);
                return u32::try_from(ticks * 1_000_000 / u128::from(elapsed)).ok();
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub struct Tsc;

#[cfg(not(target_arch = "x86_64"))]
impl Tsc {
    pub fn watch() -> Self {
        Self
    }

    pub fn khz(&self) -> Option<u32> {
        None
    }
}

/// TSC and CLOCK_MONOTONIC_RAW (ns) of nearly one moment: of several tries the one whose two
/// readings of the TSC lie closest, for an interrupt between them would falsify the result.
#[cfg(target_arch = "x86_64")]
fn both_clocks() -> (u64, u64) {
    let tries = (0..3).map(|_| {
        let before = read_tsc();
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicRaw);
        let after = read_tsc();
        let ns = now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs();
        (
            after.wrapping_sub(before),
            before + after.wrapping_sub(before) / 2,
            ns,
        )
    });
    let (_, ticks, ns) = tries.min().unwrap_or_default();
    (ticks, ns)
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "rdtsc is an intrinsic; Linux lets every process execute it"
)]
fn read_tsc() -> u64 {
    // SAFETY: the instruction reads a counter and changes nothing.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn tsc_is_measured_alike_twice() {
        let [a, b] = [0, 1].map(|_| Tsc::watch().khz().unwrap());
        assert!(a > 500_000, "{a} kHz");
        assert!(a.abs_diff(b) < a / 100, "{a} and {b} kHz");
    }

    #[cfg(target_arch = "x86_64")]
    #[rstest::rstest]
    #[case("flags\t\t: fpu vme svm de\n", true)]
    #[case("flags\t\t: fpu vmx\n", true)]
    #[case("flags\t\t: fpu svm_lock\n", false)]
    #[case("processor : 0\n", true)]
    fn virtualization_is_read_from_flags(#[case] text: &str, #[case] expected: bool) {
        let proc = tempfile::tempdir().unwrap();
        std::fs::write(proc.path().join("cpuinfo"), text).unwrap();
        assert_eq!(has_virtualization(proc.path()), expected);
    }
}
