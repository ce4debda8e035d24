//! Reads the version that a hypervisor's program prints; runs nothing.

use crate::plan::Version;

/// A text that has no version in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("No version in `{text}`; `QEMU emulator version MAJOR.MINOR.MICRO` was expected")]
pub struct UnknownVersion {
    pub text: String,
}

/// Reads what `qemu-system-* --version` prints; a distribution's suffix is left aside.
pub fn parse_qemu(text: &str) -> Result<Version, UnknownVersion> {
    let unknown = || UnknownVersion {
        text: text.lines().next().unwrap_or_default().to_owned(),
    };
    let (_, rest) = text.split_once("emulator version ").ok_or_else(unknown)?;
    let word = rest.split_whitespace().next().ok_or_else(unknown)?;
    numbers(word).ok_or_else(unknown)
}

/// `7.2.22`, `10.0` or `9.2.50-dirty`; what is left out is 0.
fn numbers(word: &str) -> Option<Version> {
    let mut parts = word.split('.').map(leading_number);
    let major = parts.next()??;
    let minor = parts.next()??;
    let micro = parts.next().flatten().unwrap_or(0);
    Some(Version(major, minor, micro))
}

fn leading_number(part: &str) -> Option<u32> {
    let end = part
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(part.len());
    part[..end].parse().ok()
}
