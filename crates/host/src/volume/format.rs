//! Runs mkfs on a file that was just made.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use spec::vm::Volume;

use crate::program::{self, NotInstalled};
use crate::spawn;

/// How a file system is made.
#[derive(Debug, PartialEq, Eq)]
struct Mkfs {
    program: String,
    fixed: &'static [&'static str],
    label: &'static str,
}

fn mkfs(fs_type: &str) -> Mkfs {
    let (fixed, label): (&'static [&'static str], _) = match fs_type {
        "ext2" | "ext3" | "ext4" => (&["-q"], "-L"),
        "xfs" | "btrfs" => (&["-q"], "-L"),
        "vfat" | "fat" | "msdos" => (&[], "-n"),
        "f2fs" => (&["-q"], "-l"),
        // NTFS: -F because it is no block device, -Q because it writes the whole of it otherwise.
        "ntfs" => (&["-F", "-Q", "-q"], "-L"),
        _ => (&[], "-L"),
    };
    let program = match fs_type {
        "swap" => "mkswap".to_owned(),
        other => format!("mkfs.{other}"),
    };
    Mkfs {
        program,
        fixed,
        label,
    }
}

/// A command that is ready to run, found before anything is created.
#[derive(Debug)]
pub struct Formatter {
    pub program: String,
    path: PathBuf,
    args: Vec<OsString>,
}

impl Formatter {
    pub fn of(volume: &Volume, mkfs_extra_args: &[String]) -> Result<Self, NotInstalled> {
        let mkfs = mkfs(&volume.fs_type);
        let path = program::find(&mkfs.program)?;
        let mut args: Vec<OsString> = mkfs.fixed.iter().map(OsString::from).collect();
        if let Some(label) = &volume.label {
            args.extend([mkfs.label.into(), label.into()]);
        }
        args.extend(mkfs_extra_args.iter().map(OsString::from));
        Ok(Self {
            program: mkfs.program,
            path,
            args,
        })
    }

    /// Formats a file of ours.
    pub fn run(&self, file: &Path) -> std::io::Result<Output> {
        let mut command = Command::new(&self.path);
        spawn::with_all_signals(&mut command);
        command.args(&self.args).arg(file).stdin(Stdio::null());
        command.output()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("ext4", "mkfs.ext4", "-L")]
    #[case("vfat", "mkfs.vfat", "-n")]
    #[case("f2fs", "mkfs.f2fs", "-l")]
    #[case("swap", "mkswap", "-L")]
    fn programs_and_label_options(#[case] fs: &str, #[case] program: &str, #[case] label: &str) {
        let mkfs = mkfs(fs);
        assert_eq!((mkfs.program.as_str(), mkfs.label), (program, label));
    }
}
