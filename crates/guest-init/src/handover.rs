//! What systemd need not do again. Each process of a boot costs, in an emulated guest half a second
//! and more; so the kernel's file systems are mounted as the guest's own units say, and units that
//! have nothing to do in this VM get a condition that does not hold. The consoles are waited for.
//!
//! Masks nothing: such a unit still starts, at once and with success. Looks only at guests whose
//! init is systemd, and at none with the kernel parameter `microvm.full-boot`.

mod mounts;
mod nodes;
mod units;

use std::path::Path;

use units::Known;

/// Kernel parameter that leaves everything to the guest.
const FULL_BOOT: &str = "microvm.full-boot";

/// There, where this was done; the drop-ins name it, for who looks why a unit was skipped.
const MARK: &str = "run/microvm/done-by-initrd";

/// Prepares the guest's root for its init. What fails is left for systemd to do.
pub fn prepare(root: &Path, init: &str, root_is_kept: bool) {
    let command_line = std::fs::read_to_string(root.join("proc/cmdline")).unwrap_or_default();
    if command_line
        .split_whitespace()
        .any(|word| word == FULL_BOOT)
        || !is_systemd(root, init)
    {
        return;
    }
    mounts::mount(root);
    if let Err(error) = skip(root, &command_line, root_is_kept) {
        println!("microvm: the guest's boot is left as it is: {error}");
    }
}

/// Whether this guest powers off by itself when the power button is pressed: by logind, which
/// needs a message bus. Another init would need a daemon of the guest's own for it.
pub fn sees_the_button(init: &str) -> bool {
    watches_the_button(Path::new("/"), init)
}

fn watches_the_button(root: &Path, init: &str) -> bool {
    let has = |paths: &[&str]| paths.iter().any(|path| root.join(path).exists());
    is_systemd(root, init)
        && has(&[
            "usr/lib/systemd/systemd-logind",
            "lib/systemd/systemd-logind",
        ])
        && has(&["usr/bin/dbus-daemon", "usr/bin/dbus-broker-launch"])
}

/// Whether the guest's init is systemd: itself, or a link to it.
fn is_systemd(root: &Path, init: &str) -> bool {
    let path = root.join(init.trim_start_matches('/'));
    let target = std::fs::read_link(&path).unwrap_or(path);
    target.file_name().is_some_and(|name| name == "systemd")
}

fn skip(root: &Path, command_line: &str, root_is_kept: bool) -> std::io::Result<()> {
    let mark = root.join(MARK);
    if let Some(directory) = mark.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(&mark, "")?;
    let known = Known {
        command_line,
        nodes_listed: nodes::list(root)?,
        root_is_kept,
    };
    for unit in units::idle(root, known) {
        let text = format!("{IDLE}[Unit]\nConditionPathExists=!/{MARK}\n");
        write_drop_in(root, unit, &text)?;
    }
    for unit in units::of_credentials(command_line) {
        // systemd puts what the hypervisor or the command line gave there, before any unit starts.
        let text = format!(
            "{IDLE}[Unit]\nConditionDirectoryNotEmpty=|/run/credentials/@system\n\
             ConditionDirectoryNotEmpty=|/run/credentials/@encrypted\n"
        );
        write_drop_in(root, unit, &text)?;
    }
    await_consoles(root)
}

const IDLE: &str =
    "# Nothing to do in this VM; the kernel parameter microvm.full-boot brings it back.\n";

/// Has the logins at the consoles wait for their devices, which udev tells of late where a guest is
/// emulated: after systemd's 90 s there would be none until the next boot.
fn await_consoles(root: &Path) -> std::io::Result<()> {
    let active = std::fs::read_to_string(root.join("sys/class/tty/console/active"));
    for console in active.unwrap_or_default().split_whitespace() {
        let unit = format!("dev-{console}.device");
        write_drop_in(root, &unit, "[Unit]\nJobRunningTimeoutSec=15min\n")?;
    }
    Ok(())
}

fn write_drop_in(root: &Path, unit: &str, text: &str) -> std::io::Result<()> {
    let directory = root.join(format!("run/systemd/system/{unit}.d"));
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("50-microvm.conf"), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for directory in ["proc", "sbin", "sys/class/tty/console"] {
            std::fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        std::os::unix::fs::symlink("/lib/systemd/systemd", root.path().join("sbin/init")).unwrap();
        let consoles = root.path().join("sys/class/tty/console/active");
        std::fs::write(consoles, "tty0 ttyS0\n").unwrap();
        root
    }

    fn drop_in(root: &Path, unit: &str) -> Option<String> {
        std::fs::read_to_string(root.join(format!("run/systemd/system/{unit}.d/50-microvm.conf")))
            .ok()
    }

    #[test]
    fn a_guest_with_systemd_is_spared_what_it_need_not_do() {
        let root = guest();
        prepare(root.path(), "/sbin/init", false);
        let fuse = drop_in(root.path(), "modprobe@fuse.service").unwrap();
        assert!(
            fuse.contains("ConditionPathExists=!/run/microvm/done-by-initrd"),
            "{fuse}"
        );
        let udev = drop_in(root.path(), "systemd-udev-load-credentials.service").unwrap();
        assert!(udev.contains("=|/run/credentials/@system"), "{udev}");
        let console = drop_in(root.path(), "dev-ttyS0.device").unwrap();
        assert!(console.contains("JobRunningTimeoutSec=15min"), "{console}");
    }

    #[test]
    fn systemd_sees_the_button_where_logind_and_a_bus_are() {
        let root = guest();
        assert!(!watches_the_button(root.path(), "/sbin/init"));
        for file in ["usr/lib/systemd/systemd-logind", "usr/bin/dbus-daemon"] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert!(watches_the_button(root.path(), "/sbin/init"));
        assert!(!watches_the_button(root.path(), "/bin/busybox"));
    }

    #[test]
    fn other_inits_and_those_who_ask_boot_in_full() {
        let root = guest();
        std::fs::write(root.path().join("proc/cmdline"), "quiet microvm.full-boot").unwrap();
        prepare(root.path(), "/sbin/init", false);
        std::fs::write(root.path().join("proc/cmdline"), "quiet").unwrap();
        prepare(root.path(), "/bin/busybox", false);
        assert!(!root.path().join("run/systemd").exists());
        assert!(!root.path().join(MARK).exists());
    }
}
