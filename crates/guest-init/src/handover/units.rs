//! Which units have nothing to do in this VM.

use std::fs;
use std::path::Path;

/// Words of the kernel's command line that systemd-network-generator(8) reads.
const NETWORK_WORDS: [&str; 12] = [
    "ip",
    "rd.route",
    "nameserver",
    "rd.peerdns",
    "vlan",
    "bond",
    "bridge",
    "bootdev",
    "team",
    "ifname",
    "net.ifname_policy",
    "net.ifname-policy",
];

/// What decides, beside the guest's files.
#[derive(Clone, Copy, Default)]
pub struct Known<'a> {
    pub command_line: &'a str,
    /// Whether the list of static nodes is made already.
    pub nodes_listed: bool,
    /// Whether what is written to the root outlives the boot.
    pub root_is_kept: bool,
}

/// Units that are idle.
pub fn idle(root: &Path, known: Known<'_>) -> Vec<&'static str> {
    let command_line = known.command_line;
    let wants_modules = ["modules_load", "modules-load"]
        .iter()
        .any(|key| has_key(command_line, key) || has_key(command_line, &format!("rd.{key}")));
    let checks = [
        // Autoloaded, both, by their device or by what needs them; their file systems then follow.
        ("modprobe@configfs.service", true),
        ("modprobe@fuse.service", true),
        (
            "modprobe@efi_pstore.service",
            !root.join("sys/firmware/efi").exists(),
        ),
        ("modprobe@drm.service", !has_display(root)),
        ("kmod-static-nodes.service", known.nodes_listed),
        // The same again, but before users are made; none are where nothing waits for them.
        (
            "systemd-tmpfiles-setup-dev-early.service",
            is_unit(root, "systemd-tmpfiles-setup-dev.service"),
        ),
        ("systemd-remount-fs.service", !remounts(root)),
        (
            "systemd-modules-load.service",
            !wants_modules && !lists_modules(root),
        ),
        // A seed that nothing keeps; the kernel has its own from the processor or virtio-rng.
        (
            "systemd-random-seed.service",
            !known.root_is_kept && is_forgetful(root),
        ),
    ];
    let idle = checks.into_iter().filter(|(_, idle)| *idle);
    idle.map(|(unit, _)| unit).collect()
}

/// Units that have work only where the guest was given credentials.
pub fn of_credentials(command_line: &str) -> Vec<&'static str> {
    let mut units = vec!["systemd-udev-load-credentials.service"];
    if !NETWORK_WORDS.iter().any(|key| has_key(command_line, key)) {
        units.push("systemd-network-generator.service");
    }
    units
}

fn has_key(command_line: &str, key: &str) -> bool {
    command_line
        .split_whitespace()
        .any(|word| word.split('=').next() == Some(key))
}

/// A graphics card on PCI (class 3) or a GPU of virtio (device 16).
fn has_display(root: &Path) -> bool {
    any_device(&root.join("sys/bus/pci/devices"), "class", "0x03")
        || any_device(&root.join("sys/bus/virtio/devices"), "device", "0x0010")
        || root.join("sys/class/drm").exists()
}

fn any_device(directory: &Path, file: &str, start: &str) -> bool {
    entries(directory).any(|device| {
        fs::read_to_string(device.join(file)).is_ok_and(|text| text.starts_with(start))
    })
}

fn entries(directory: &Path) -> impl Iterator<Item = std::path::PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

fn is_unit(root: &Path, unit: &str) -> bool {
    ["usr/lib/systemd/system", "lib/systemd/system"]
        .iter()
        .any(|directory| root.join(directory).join(unit).exists())
}

/// Whether fstab has options for what is mounted before systemd starts.
fn remounts(root: &Path) -> bool {
    const EARLY: [&str; 6] = ["/", "/usr", "/proc", "/sys", "/dev", "/run"];
    let fstab = fs::read_to_string(root.join("etc/fstab")).unwrap_or_default();
    let mut points = lines(&fstab).filter_map(|line| line.split_whitespace().nth(1));
    points.any(|point| EARLY.contains(&point))
}

fn lists_modules(root: &Path) -> bool {
    const PLACES: [&str; 5] = ["etc", "run", "usr/local/lib", "usr/lib", "lib"];
    let mut files = PLACES
        .iter()
        .flat_map(|place| entries(&root.join(place).join("modules-load.d")));
    files.any(|file| match fs::read_to_string(file) {
        Ok(text) => lines(&text).next().is_some(),
        // A link that leads nowhere; another one that cannot be read may list some.
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    })
}

/// Lines that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Whether the seed's directory is on the root, and the image has brought none.
fn is_forgetful(root: &Path) -> bool {
    let mounts = fs::read_to_string(root.join("proc/self/mounts")).unwrap_or_default();
    let mut lines = mounts.lines().map(str::split_whitespace);
    let apart = lines.any(|mut fields| {
        let point = fields.nth(1).unwrap_or_default();
        ["/var", "/var/lib", "/var/lib/systemd"].contains(&point)
    });
    !apart && !root.join("var/lib/systemd/random-seed").exists()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn with(path: &str, text: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        root
    }

    #[rstest]
    #[case("systemd-remount-fs.service", "etc/fstab", "# none\n", true)]
    #[case(
        "systemd-remount-fs.service",
        "etc/fstab",
        "/dev/vda / ext4 noatime 0 1\n",
        false
    )]
    #[case(
        "systemd-modules-load.service",
        "etc/modules-load.d/a.conf",
        "# none\n\n",
        true
    )]
    #[case(
        "systemd-modules-load.service",
        "usr/lib/modules-load.d/a.conf",
        "loop\n",
        false
    )]
    #[case(
        "modprobe@drm.service",
        "sys/bus/pci/devices/0/class",
        "0x020000\n",
        true
    )]
    #[case(
        "modprobe@drm.service",
        "sys/bus/pci/devices/0/class",
        "0x030000\n",
        false
    )]
    #[case("modprobe@efi_pstore.service", "sys/firmware/efi/systab", "", false)]
    #[case("systemd-random-seed.service", "etc/x", "", true)]
    #[case(
        "systemd-random-seed.service",
        "proc/self/mounts",
        "/dev/vdb /var ext4 rw 0 0\n",
        false
    )]
    #[case(
        "systemd-random-seed.service",
        "var/lib/systemd/random-seed",
        "x",
        false
    )]
    #[case("systemd-tmpfiles-setup-dev-early.service", "etc/x", "", false)]
    fn units_are_idle_where_they_have_nothing_to_do(
        #[case] unit: &str,
        #[case] path: &str,
        #[case] text: &str,
        #[case] expected: bool,
    ) {
        let root = with(path, text);
        let known = Known {
            nodes_listed: true,
            ..Known::default()
        };
        assert_eq!(idle(root.path(), known).contains(&unit), expected);
    }

    #[test]
    fn the_command_line_is_heard() {
        let root = tempfile::tempdir().unwrap();
        let unit = "systemd-modules-load.service";
        let said = |command_line| {
            let known = Known {
                command_line,
                ..Known::default()
            };
            idle(root.path(), known).contains(&unit)
        };
        assert!(said("quiet"));
        assert!(!said("modules_load=loop"));
        let unit = "systemd-network-generator.service";
        assert!(of_credentials("console=ttyS0 ipx=1").contains(&unit));
        assert!(!of_credentials("ip=dhcp").contains(&unit));
    }

    #[test]
    fn a_root_that_is_kept_keeps_its_seed() {
        let root = tempfile::tempdir().unwrap();
        let known = Known {
            root_is_kept: true,
            ..Known::default()
        };
        assert!(!idle(root.path(), known).contains(&"systemd-random-seed.service"));
    }
}
