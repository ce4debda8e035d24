//! Puts the credentials of the credentials disk where the guest's systemd takes them from.

use std::ffi::CString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use guest_init::config::DiskRef;
use guest_init::credentials::{LARGEST_DISK, parse};
use nix::mount::MsFlags;

use crate::Result;
use crate::device;
use crate::failure::Failure;
use crate::mounting;

/// From which systemd 254 and later import what an initrd leaves, and delete it.
const OF_INITRD: &str = "/run/credentials/@initrd";
/// Where systemd keeps what it imported.
const OF_SYSTEM: &str = "/run/credentials/@system";
/// The first version that looks at [`OF_INITRD`].
const FIRST: u32 = 254;

/// Hands the credentials over; gives the variables that the guest's init needs for them.
pub fn hand_over(disk: &DiskRef, bound: Duration) -> Result<Vec<CString>> {
    let device = device::wait_for(disk, bound)?;
    let credentials = parse(&read(&device)?)
        .map_err(|error| Failure::new(format!("Credentials disk `{device}`: {error}")))?;
    // Older ones take the directory that the variable names, and then nothing of the kernel's
    // command line.
    let is_old = systemd_version().is_some_and(|version| version < FIRST);
    let directory = if is_old { OF_SYSTEM } else { OF_INITRD };
    let cannot = |error: std::io::Error| {
        Failure::new(format!(
            "Cannot write credentials to `{directory}`: {error}"
        ))
    };
    make_private(directory).map_err(cannot)?;
    if is_old {
        // As systemd does it: what is in a ramfs is never swapped.
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mounting::at("ramfs", directory, "ramfs", flags, "mode=0700")
            .map_err(|(failure, _)| failure)?;
    }
    for (name, content) in &credentials {
        write(&Path::new(directory).join(name), content).map_err(cannot)?;
    }
    let variable = is_old.then(|| format!("CREDENTIALS_DIRECTORY={directory}"));
    Ok(variable
        .into_iter()
        .filter_map(|variable| CString::new(variable).ok())
        .collect())
}

fn read(device: &str) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(device)
        .and_then(|disk| disk.take(LARGEST_DISK as u64).read_to_end(&mut content))
        .map_err(|error| Failure::new(format!("Cannot read `{device}`: {error}")))?;
    Ok(content)
}

fn make_private(directory: &str) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    if let Some(parent) = Path::new(directory).parent() {
        builder.mode(0o755).create(parent)?;
    }
    builder.mode(0o700).create(directory)
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(path)?
        .write_all(content)
}

/// The version of the guest's systemd, by the name of its library (`libsystemd-shared-252.so`),
/// which distributions keep in one of two places.
fn systemd_version() -> Option<u32> {
    let list = |directory: &Path| std::fs::read_dir(directory).into_iter().flatten().flatten();
    let triplets = list(Path::new("/usr/lib")).map(|entry| entry.path().join("systemd"));
    triplets
        .chain([Path::new("/usr/lib/systemd").to_owned()])
        .flat_map(|directory| list(&directory))
        .find_map(|entry| version_of(&entry.file_name().to_string_lossy()))
}

fn version_of(library: &str) -> Option<u32> {
    let version = library.strip_prefix("libsystemd-shared-")?;
    let end = version.find(|c: char| !c.is_ascii_digit())?;
    version[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("libsystemd-shared-252.so", Some(252))]
    #[case("libsystemd-shared-257.7-1.so", Some(257))]
    #[case("libsystemd-core-252.so", None)]
    #[case("libsystemd-shared-.so", None)]
    fn the_library_tells_the_version(#[case] library: &str, #[case] expected: Option<u32>) {
        assert_eq!(version_of(library), expected);
    }
}
