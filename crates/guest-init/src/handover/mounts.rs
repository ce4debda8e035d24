//! Mounts the kernel's file systems that the guest's systemd would mount at every boot, with the
//! options of its own units; systemd takes what is mounted as started.
//!
//! A unit that it does not wholly understand, or that the guest overrides, it leaves alone.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;

use crate::mounting;

/// File systems without a device behind them.
const TYPES: [&str; 8] = [
    "configfs",
    "debugfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "securityfs",
    "tmpfs",
    "tracefs",
];

const VENDOR: [&str; 2] = ["usr/lib/systemd/system", "lib/systemd/system"];
const OVERRIDING: [&str; 3] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
];

/// Mounts what is wanted at every boot.
pub fn mount(root: &Path) {
    let fstab = fs::read_to_string(root.join("etc/fstab")).unwrap_or_default();
    let mounted = fs::read_to_string(root.join("proc/self/mounts")).unwrap_or_default();
    for unit in wanted(root) {
        if is_point_of(&fstab, &unit.place) || is_point_of(&mounted, &unit.place) {
            continue;
        }
        let (flags, data) = options(&unit.options);
        // systemd tries again, and says what is wrong.
        let _ = mounting::at(&unit.what, &unit.place, &unit.fs_type, flags, &data);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct MountUnit {
    what: String,
    place: String,
    fs_type: String,
    options: String,
}

fn wanted(root: &Path) -> Vec<MountUnit> {
    let Some(vendor) = VENDOR
        .iter()
        .map(|directory| root.join(directory))
        .find(|directory| directory.is_dir())
    else {
        return Vec::new();
    };
    let mut names: Vec<String> = ["sysinit.target.wants", "local-fs.target.wants"]
        .iter()
        .flat_map(|wants| fs::read_dir(vendor.join(wants)).into_iter().flatten())
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".mount") && !is_overridden(root, &vendor, name))
        .collect();
    names.sort();
    let texts = names
        .iter()
        .filter_map(|name| fs::read_to_string(vendor.join(name)).ok());
    texts.filter_map(|text| parse(root, &text)).collect()
}

fn is_overridden(root: &Path, vendor: &Path, name: &str) -> bool {
    let elsewhere = OVERRIDING.iter().any(|directory| {
        let path = root.join(directory).join(name);
        path.symlink_metadata().is_ok() || drop_ins(&path).exists()
    });
    elsewhere || drop_ins(&vendor.join(name)).exists()
}

fn drop_ins(unit: &Path) -> PathBuf {
    let mut path = unit.as_os_str().to_owned();
    path.push(".d");
    path.into()
}

/// `None` where a condition does not hold, or something is said that is not known here.
fn parse(root: &Path, text: &str) -> Option<MountUnit> {
    let (mut what, mut place, mut fs_type, mut options) = (None, None, None, String::new());
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match key.trim() {
            "What" => what = Some(value),
            "Where" => place = Some(value),
            "Type" => fs_type = Some(value),
            "Options" => options = value.replace("%%", "\0"),
            key if key.starts_with("Assert") => return None,
            key if key.starts_with("Condition") && !holds(root, key, value) => return None,
            _ => {}
        }
    }
    let fs_type = fs_type.filter(|fs_type| TYPES.contains(fs_type))?;
    let whole = |text: &str| !text.contains(['%', '\\', '"']);
    let (what, place) = (what?, place?);
    (whole(what) && whole(place) && whole(&options)).then(|| MountUnit {
        what: what.to_owned(),
        place: place.to_owned(),
        fs_type: fs_type.to_owned(),
        options: options.replace('\0', "%"),
    })
}

/// Conditions that are surely met: PID 1 of a VM has all capabilities, and is in no container.
fn holds(root: &Path, condition: &str, value: &str) -> bool {
    let (negated, path) = match value.strip_prefix('!') {
        Some(path) => (true, path),
        None => (false, value),
    };
    let path = root.join(path.trim_start_matches('/'));
    match condition {
        "ConditionPathExists" => path.exists() != negated,
        "ConditionPathIsSymbolicLink" => path.is_symlink() != negated,
        "ConditionCapability" => !negated,
        "ConditionVirtualization" => matches!(value, "!container" | "!private-users"),
        _ => false,
    }
}

/// Whether a table such as fstab(5) has this mount point.
fn is_point_of(table: &str, place: &str) -> bool {
    let mut points = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().nth(1));
    points.any(|point| point == place)
}

/// Options of mount(8) as the kernel takes them.
fn options(words: &str) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut data = Vec::new();
    for word in words.split(',').filter(|word| !word.is_empty()) {
        match word {
            "nosuid" => flags |= MsFlags::MS_NOSUID,
            "nodev" => flags |= MsFlags::MS_NODEV,
            "noexec" => flags |= MsFlags::MS_NOEXEC,
            "strictatime" => flags |= MsFlags::MS_STRICTATIME,
            "relatime" => flags |= MsFlags::MS_RELATIME,
            "noatime" => flags |= MsFlags::MS_NOATIME,
            "ro" => flags |= MsFlags::MS_RDONLY,
            "rw" | "defaults" => {}
            other => data.push(other),
        }
    }
    (flags, data.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TMP: &str = "[Unit]\nConditionPathIsSymbolicLink=!/tmp\nAfter=swap.target\n[Mount]\n\
                       What=tmpfs\nWhere=/tmp\nType=tmpfs\n\
                       Options=mode=1777,strictatime,nosuid,nodev,size=50%%,nr_inodes=1m\n";

    fn guest(units: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let vendor = root.path().join(VENDOR[0]);
        fs::create_dir_all(vendor.join("local-fs.target.wants")).unwrap();
        for (name, text) in units {
            fs::write(vendor.join(name), text).unwrap();
            fs::write(vendor.join("local-fs.target.wants").join(name), "").unwrap();
        }
        root
    }

    #[test]
    fn units_are_mounted_as_they_say() {
        let root = guest(&[("tmp.mount", TMP)]);
        let units = wanted(root.path());
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].place, "/tmp");
        let (flags, data) = options(&units[0].options);
        assert_eq!(
            flags,
            MsFlags::MS_STRICTATIME | MsFlags::MS_NOSUID | MsFlags::MS_NODEV
        );
        assert_eq!(data, "mode=1777,size=50%,nr_inodes=1m");
    }

    #[test]
    fn what_is_not_wholly_known_is_left_alone() {
        let disk = "[Mount]\nWhat=/dev/vdb\nWhere=/data\nType=ext4\n";
        let specifier = "[Mount]\nWhat=tmpfs\nWhere=/run/%i\nType=tmpfs\n";
        let condition =
            "[Unit]\nConditionKernelCommandLine=x\n[Mount]\nWhat=tmpfs\nWhere=/a\nType=tmpfs\n";
        let root = guest(&[
            ("data.mount", disk),
            ("run-x.mount", specifier),
            ("a.mount", condition),
        ]);
        assert_eq!(wanted(root.path()), []);
    }

    #[test]
    fn the_guests_own_word_goes_first() {
        let root = guest(&[("tmp.mount", TMP)]);
        let own = root.path().join("etc/systemd/system/tmp.mount.d");
        fs::create_dir_all(&own).unwrap();
        assert_eq!(wanted(root.path()), []);
        fs::remove_dir(&own).unwrap();
        std::os::unix::fs::symlink("/dev/null", own.with_extension("")).unwrap();
        assert_eq!(wanted(root.path()), []);
        assert!(is_point_of("# a\ntmpfs /tmp tmpfs size=1G 0 0\n", "/tmp"));
    }
}
