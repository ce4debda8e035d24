//! The store disk: a read-only image of a tree, by mkfs.erofs or mksquashfs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use spec::vm::StoreKind;

use crate::error::Error;
use crate::process::Tool;

/// The same in every image: what is in it tells it apart, its store path names it.
const UUID: &str = "6d696372-6f76-4d00-8000-000000000001";

/// A program that makes the image, checked to be there and new enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiskMaker {
    format: Format,
    flags: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Format {
    Erofs,
    Squashfs,
}

/// Kernel release, `major.minor`, which decides what an image may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KernelVersion(pub(crate) u32, pub(crate) u32);

/// mkfs.erofs, `major.minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ErofsVersion(u32, u32);

impl KernelVersion {
    /// Reads the beginning of a release such as `6.12.1+deb13-amd64`.
    pub(crate) fn parse(release: &str) -> Option<Self> {
        let (major, minor) = two_numbers(release)?;
        Some(Self(major, minor))
    }
}

impl DiskMaker {
    /// The maker for a VM's store; `None` where its root comes from a share.
    pub(crate) fn new(
        kind: &StoreKind,
        kernel: Option<KernelVersion>,
        interrupted: &AtomicBool,
    ) -> Result<Option<Self>, Error> {
        match kind {
            StoreKind::Share(_) => Ok(None),
            StoreKind::Squashfs { flags } => Ok(Some(Self {
                format: Format::Squashfs,
                flags: mksquashfs_flags(flags.as_deref().unwrap_or_default())?,
            })),
            StoreKind::Erofs { flags } => {
                let version = erofs_version(interrupted)?;
                let flags = match flags {
                    None => default_flags(version, kernel),
                    Some(flags) => flags.clone(),
                };
                check_flags(&flags, version)?;
                Ok(Some(Self {
                    format: Format::Erofs,
                    flags,
                }))
            }
        }
    }

    /// Makes an image of `tree` in the file `out`, which is there and empty.
    pub(crate) fn make(
        &self,
        tree: &Path,
        out: &Path,
        interrupted: &AtomicBool,
    ) -> Result<(), Error> {
        let tool = match self.format {
            Format::Erofs => Tool::new("mkfs.erofs", "erofs-utils")
                .clean_env()
                .args(["--quiet", "-T0", "-U", UUID])
                .args(&self.flags)
                .arg(out)
                .arg(tree),
            Format::Squashfs => Tool::new("mksquashfs", "squashfs-tools")
                .clean_env()
                .args([OsString::from(tree), OsString::from(out)])
                .args(SQUASHFS)
                .args(&self.flags),
        };
        tool.writes_to(out).run(interrupted, &mut |_, _| {})
    }

    /// Makes an image of `paths`, which are in `directory` beside `others`, in the file `out`.
    /// All of it belongs to root: a Nix store has no owners.
    pub(crate) fn make_of(
        &self,
        directory: &Path,
        paths: &[PathBuf],
        others: &[OsString],
        out: &Path,
        interrupted: &AtomicBool,
    ) -> Result<(), Error> {
        let tool = match self.format {
            Format::Erofs => Tool::new("mkfs.erofs", "erofs-utils")
                .clean_env()
                .args(["--quiet", "-T0", "-U", UUID, "--all-root"])
                .args(&self.flags)
                .args(others.iter().map(|name| {
                    let mut exclude = OsString::from("--exclude-path=");
                    exclude.push(name);
                    exclude
                }))
                .args([out, directory]),
            Format::Squashfs => Tool::new("mksquashfs", "squashfs-tools")
                .clean_env()
                .args(paths)
                .arg(out)
                .args(SQUASHFS)
                .args(["-all-root", "-keep-as-directory"])
                .args(&self.flags),
        };
        tool.writes_to(out).run(interrupted, &mut |_, _| {})
    }
}

/// Quiet, and the same at every run.
const SQUASHFS: [&str; 7] = [
    "-noappend",
    "-no-progress",
    "-quiet",
    "-mkfs-time",
    "0",
    "-all-time",
    "0",
];

/// `-zlz4hc`, and what packs tighter where kernel and program have it.
fn default_flags(version: ErofsVersion, kernel: Option<KernelVersion>) -> Vec<String> {
    let kernel = kernel.unwrap_or(KernelVersion(0, 0));
    let mut packing = Vec::new();
    if kernel >= KernelVersion(5, 16) {
        packing.push("ztailpacking");
    }
    if kernel >= KernelVersion(6, 1) && version >= ErofsVersion(1, 6) {
        packing.push("fragments");
    }
    let mut flags = vec!["-zlz4hc".to_owned()];
    if !packing.is_empty() {
        flags.push(format!("-E{}", packing.join(",")));
    }
    flags
}

/// Refuses flags that the program of this host does not know, with the version that does.
fn check_flags(flags: &[String], version: ErofsVersion) -> Result<(), Error> {
    const SINCE: [(&str, ErofsVersion, &str); 5] = [
        ("fragments", ErofsVersion(1, 6), "1.6"),
        ("dedupe", ErofsVersion(1, 6), "1.6"),
        ("-zdeflate", ErofsVersion(1, 7), "1.7"),
        ("-zzstd", ErofsVersion(1, 8), "1.8"),
        ("--workers", ErofsVersion(1, 8), "1.8"),
    ];
    for flag in flags {
        let unknown = SINCE
            .iter()
            .find(|(word, since, _)| flag.contains(word) && version < *since);
        if let Some((_, _, needed)) = unknown {
            return Err(Error::TooOld {
                program: "mkfs.erofs",
                found: format!("{}.{}", version.0, version.1),
                wanted: flag.clone(),
                needed,
                package: "erofs-utils",
            });
        }
    }
    Ok(())
}

fn erofs_version(interrupted: &AtomicBool) -> Result<ErofsVersion, Error> {
    let mut found = None;
    // 1.5 does not know `-V`: it complains, and tells its version all the same.
    let result =
        Tool::new("mkfs.erofs", "erofs-utils")
            .arg("-V")
            .run(interrupted, &mut |_, line| {
                if let Some(rest) = line.strip_prefix("mkfs.erofs ") {
                    let rest = rest.trim_start_matches("(erofs-utils) ");
                    found = found.or(two_numbers(rest));
                }
            });
    match (found, result) {
        (Some((major, minor)), _) => Ok(ErofsVersion(major, minor)),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Ok(ErofsVersion(1, 0)),
    }
}

/// `storeDiskSquashfsFlags` are written as gensquashfs takes them; mksquashfs, which Debian's
/// squashfs-tools have, is told the same.
fn mksquashfs_flags(flags: &[String]) -> Result<Vec<String>, Error> {
    let flags: &[String] = match flags {
        [] => &["-c".to_owned(), "zstd".to_owned()],
        flags => flags,
    };
    let mut translated = Vec::new();
    let mut words = flags.iter();
    while let Some(flag) = words.next() {
        let unknown = || Error::SquashfsFlag { flag: flag.clone() };
        let value = words.next().ok_or_else(unknown)?;
        match flag.as_str() {
            "-c" | "--compressor" => translated.extend(["-comp".to_owned(), value.clone()]),
            "-b" | "--block-size" => translated.extend(["-b".to_owned(), value.clone()]),
            "-j" | "--num-jobs" => translated.extend(["-processors".to_owned(), jobs(value)]),
            "-X" | "--comp-extra" => translated.extend(compressor_options(value)),
            _ => return Err(unknown()),
        }
    }
    Ok(translated)
}

/// Names of variables, as Nix's builders have them, mean all processors.
fn jobs(value: &str) -> String {
    if value.parse::<u32>().is_ok() {
        return value.to_owned();
    }
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .to_string()
}

/// `level=15,dictsize=1M` of gensquashfs as mksquashfs has it: `-Xcompression-level 15`.
fn compressor_options(value: &str) -> Vec<String> {
    value
        .split(',')
        .flat_map(|option| match option.split_once('=') {
            Some(("level", level)) => vec!["-Xcompression-level".to_owned(), level.to_owned()],
            Some((name, value)) => vec![format!("-X{name}"), value.to_owned()],
            None => vec![format!("-X{option}")],
        })
        .collect()
}

fn two_numbers(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[rstest::rstest]
    #[case("5.10", "1.5", "-zlz4hc")]
    #[case("6.1.0-44-cloud-amd64", "1.5", "-zlz4hc -Eztailpacking")]
    #[case("5.16.1", "1.8", "-zlz4hc -Eztailpacking")]
    #[case("6.12.1+deb13-amd64", "1.8", "-zlz4hc -Eztailpacking,fragments")]
    fn erofs_flags_follow_kernel_and_program(
        #[case] kernel: &str,
        #[case] version: &str,
        #[case] flags: &str,
    ) {
        let (major, minor) = two_numbers(version).unwrap();
        let found = default_flags(ErofsVersion(major, minor), KernelVersion::parse(kernel));
        assert_eq!(found, words(flags));
    }

    #[test]
    fn too_old_program_is_told_with_its_package() {
        let error = check_flags(&words("-zlz4hc -Efragments"), ErofsVersion(1, 5)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Program `mkfs.erofs` 1.5 is too old for `-Efragments`, which needs 1.6 or newer \
             (Debian's package is `erofs-utils`)"
        );
    }

    #[rstest::rstest]
    #[case("", "-comp zstd")]
    #[case("-c zstd -j 3", "-comp zstd -processors 3")]
    #[case("-c xz -b 1M -X level=9", "-comp xz -b 1M -Xcompression-level 9")]
    fn squashfs_flags_are_translated(#[case] flags: &str, #[case] expected: &str) {
        assert_eq!(mksquashfs_flags(&words(flags)).unwrap(), words(expected));
    }

    #[rstest::rstest]
    #[case("-c")]
    #[case("-comp zstd")]
    fn other_squashfs_flags_are_refused(#[case] flags: &str) {
        assert!(mksquashfs_flags(&words(flags)).is_err());
    }
}
