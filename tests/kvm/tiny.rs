//! A guest of busybox with an init of its own, so small that eight of them start at once in the
//! KVM host: a container image, made here.
//!
//! It says on its volume that it booted and that it stopped, and runs what is sent to its port 7.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Outcome, fleet, host};

/// Port of the shell.
pub const PORT: u16 = 7;

/// Programs beside those of `/sbin`.
const APPLETS: [&str; 12] = [
    "cat", "echo", "grep", "hostname", "ip", "nc", "sh", "sleep", "sync", "timeout", "udhcpc",
    "umount",
];

const FILES: [(&str, &str, u32); 6] = [
    ("inittab", include_str!("tiny/inittab"), 0o644),
    ("rc", include_str!("tiny/rc"), 0o755),
    ("rc.stop", include_str!("tiny/rc.stop"), 0o755),
    ("udhcpc", include_str!("tiny/udhcpc"), 0o755),
    ("passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644),
    ("group", "root:x:0:\n", 0o644),
];

/// Makes the archive, the same one each time.
pub fn archive() -> Outcome<PathBuf> {
    let work = tempfile::tempdir()?;
    let tree = work.path().join("tree");
    make_tree(&tree)?;
    let layer = work.path().join("layer.tar");
    pack(&tree, &layer, &["."])?;
    let digest = host::output(Command::new("sha256sum").arg(&layer))?;
    let digest = digest.split(' ').next().unwrap_or_default();
    let config = format!(
        r#"{{"architecture": "amd64", "os": "linux", "config": {{}},
            "rootfs": {{"type": "layers", "diff_ids": ["sha256:{digest}"]}}}}"#
    );
    std::fs::write(work.path().join("config.json"), config)?;
    let manifest =
        r#"[{"Config": "config.json", "RepoTags": ["tiny:latest"], "Layers": ["layer.tar"]}]"#;
    std::fs::write(work.path().join("manifest.json"), manifest)?;
    let archive = fleet::kept_directory().join("tiny.tar");
    let parts = ["manifest.json", "config.json", "layer.tar"];
    pack(work.path(), &archive, &parts)?;
    Ok(archive)
}

fn make_tree(tree: &Path) -> Outcome {
    for directory in [
        "bin", "dev", "etc", "keep", "proc", "root", "run", "sbin", "shared", "sys", "tmp", "usr",
    ] {
        std::fs::create_dir_all(tree.join(directory))?;
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .ok_or("there is no busybox")?;
    std::fs::copy(busybox, tree.join("bin/busybox"))?;
    for applet in APPLETS {
        symlink("busybox", tree.join("bin").join(applet))?;
    }
    for applet in ["init", "poweroff", "reboot"] {
        symlink("../bin/busybox", tree.join("sbin").join(applet))?;
    }
    for (name, text, mode) in FILES {
        let path = tree.join("etc").join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn pack(from: &Path, to: &Path, names: &[&str]) -> Outcome {
    let mut tar = Command::new("tar");
    tar.arg("--directory").arg(from);
    tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0"]);
    tar.arg("--numeric-owner").arg("--create");
    tar.arg("--file").arg(to).args(names);
    host::output(&mut tar)?;
    Ok(())
}
