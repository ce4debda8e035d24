//! Finds programs on this host, and names the package that has one.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Directories that PATH of an ordinary user lacks on Debian, though mkfs and its like are there.
const SYSTEM: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A program that this host does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{program}` is not installed{}", package_clause(.program))]
pub struct NotInstalled {
    pub program: String,
}

fn package_clause(program: &str) -> String {
    debian_package(program).map_or_else(String::new, |package| {
        format!("; on Debian and Ubuntu the package `{package}` has it")
    })
}

/// Looks a program up in PATH and then where system programs are.
pub fn find(program: &str) -> Result<PathBuf, NotInstalled> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_in(program, &directories(path)).ok_or_else(|| NotInstalled {
        program: program.to_owned(),
    })
}

/// Directories that were named when this program was built: a Nix package brings its programs so.
const BUILT_WITH: Option<&str> = option_env!("MICROVM_TOOLS");

/// Directories of a PATH, then those that this program was built with, and of system programs.
pub fn directories(path: OsString) -> Vec<PathBuf> {
    std::env::split_paths(&path)
        .chain(std::env::split_paths(BUILT_WITH.unwrap_or_default()))
        .filter(|directory| directory.is_absolute())
        .chain(SYSTEM.map(PathBuf::from))
        .collect()
}

/// First executable file of that name.
pub fn find_in(program: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    directories
        .iter()
        .map(|directory| directory.join(program))
        .find(|path| is_executable(path))
}

/// Whether a path is a file that somebody may execute.
pub fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Debian's package of a program, for messages.
pub fn debian_package(program: &str) -> Option<&'static str> {
    Some(match program {
        "qemu-system-x86_64" => "qemu-system-x86",
        "qemu-system-aarch64" => "qemu-system-arm",
        "qemu-img" => "qemu-utils",
        "e2fsck" | "resize2fs" | "mkfs.ext2" | "mkfs.ext3" | "mkfs.ext4" => "e2fsprogs",
        "mkfs.xfs" => "xfsprogs",
        "mkfs.btrfs" => "btrfs-progs",
        "mkfs.vfat" | "mkfs.fat" | "mkfs.msdos" => "dosfstools",
        "mkfs.f2fs" => "f2fs-tools",
        "mkfs.exfat" => "exfatprogs",
        "mkfs.ntfs" => "ntfs-3g",
        "mkfs.bcachefs" => "bcachefs-tools",
        "mkswap" => "util-linux",
        "newuidmap" | "newgidmap" => "uidmap",
        "virtiofsd" => "virtiofsd",
        "dnsmasq" => "dnsmasq-base",
        "nft" => "nftables",
        "ssh" | "ssh-keygen" => "openssh-client",
        "mmdebstrap" => "mmdebstrap",
        "mkfs.erofs" => "erofs-utils",
        "mksquashfs" => "squashfs-tools",
        "depmod" => "kmod",
        "skopeo" => "skopeo",
        "umoci" => "umoci",
        _ => return None,
    })
}

/// Writes a program of a test's by another process: one of ours that starts something meanwhile would
/// hand on what it is written through, and a program that is open for writing cannot be run.
#[cfg(test)]
pub fn script(path: &Path, body: &str) {
    use std::io::Write;
    let mut install = std::process::Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(path);
    let mut child = install
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("coreutils are there");
    let mut stdin = child.stdin.take().expect("it is piped");
    write!(stdin, "#!/bin/sh\n{body}\n").expect("it is read");
    drop(stdin);
    assert!(child.wait().expect("it ends").success(), "{path:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executable_files_are_found_in_order() {
        let root = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| root.path().join(name));
        for directory in [&a, &b] {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("tool"), "").unwrap();
        }
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(b.join("tool"), executable).unwrap();
        assert_eq!(
            find_in("tool", &[a.clone(), b.clone()]),
            Some(b.join("tool"))
        );
        assert_eq!(find_in("other", &[a, b]), None);
    }

    #[test]
    fn the_message_names_the_package() {
        let missing = NotInstalled {
            program: "mkfs.xfs".into(),
        };
        assert_eq!(
            missing.to_string(),
            "`mkfs.xfs` is not installed; on Debian and Ubuntu the package `xfsprogs` has it"
        );
        assert_eq!(
            NotInstalled {
                program: "x".into()
            }
            .to_string(),
            "`x` is not installed"
        );
    }
}
