//! Where the root comes from, and on which machine.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::{Fleet, Outcome, check, host};

/// Boots, looks at the root, stops, and expects a clean end.
fn boots_with(fleet: &Fleet, name: &str, look: &str, expected: &str) -> Outcome {
    let package = fleet.build(name)?;
    let mut guest = fleet.run(name)?;
    let seen = guest.ssh(look)?;
    check!(
        seen.contains(expected),
        "`{look}` gave `{seen}`, not `{expected}`"
    );
    let hostname = guest.ssh("hostname")?;
    check!(
        hostname == name,
        "the hostname is `{hostname}`, not `{name}`"
    );
    host::output(
        Command::new(package.join("bin/microvm-shutdown"))
            .env("MICROVM_SHUTDOWN_TIMEOUT", "200")
            .current_dir(guest.state()),
    )?;
    let status = guest.wait(Duration::from_secs(240))?;
    check!(
        status.success(),
        "`{name}` ended with {status}:\n{}",
        guest.tail()
    );
    left_clean(guest.state())
}

/// No socket and no lock survives a run.
pub fn left_clean(state: &Path) -> Outcome {
    for entry in std::fs::read_dir(state)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        check!(!name.ends_with(".sock"), "`{name}` was left behind");
    }
    Ok(())
}

pub fn q35(fleet: &Fleet) -> Outcome {
    boots_with(
        fleet,
        "q35",
        "cat /sys/class/dmi/id/product_name; findmnt -no FSTYPE /var",
        "Q35",
    )
}

/// With `autologin` the console ends at a prompt that takes commands.
pub fn console(fleet: &Fleet) -> Outcome {
    fleet.build("q35")?;
    let mut guest = fleet.run("q35")?;
    guest.expect("root@q35:~#", Duration::from_secs(400))?;
    guest.type_in("echo typed $((6 * 7))\n")?;
    guest.expect("typed 42", Duration::from_secs(120))?;
    // QEMU's own way out of a serial console on stdio.
    guest.type_in("\u{1}x")?;
    let status = guest.wait(Duration::from_secs(120))?;
    check!(status.success(), "Ctrl-a x ended with {status}");
    Ok(())
}

pub fn squashfs(fleet: &Fleet) -> Outcome {
    boots_with(
        fleet,
        "squash",
        "cat /proc/filesystems | grep squashfs; findmnt -no FSTYPE /",
        "squashfs",
    )
}

pub fn virtiofs(fleet: &Fleet) -> Outcome {
    boots_with(
        fleet,
        "root-virtiofs",
        "ls /sys/block | grep -c vd || true",
        "0",
    )
}

pub fn nine_p(fleet: &Fleet) -> Outcome {
    boots_with(fleet, "root-9p", "ls /sys/block | grep -c vd || true", "0")
}

pub fn directory(fleet: &Fleet) -> Outcome {
    let tree = harness::fleet::kept_directory().join("tree");
    if !tree.join("etc/made-by-the-test").exists() {
        make_tree(&tree)?;
    }
    boots_with(
        fleet,
        "directory",
        "cat /etc/made-by-the-test",
        "a tree of the user's own",
    )
}

fn make_tree(tree: &Path) -> Outcome {
    let packages = "systemd-sysv,udev,dbus,openssh-server,iproute2,linux-image-cloud-amd64";
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap
        .args([
            "--variant=minbase",
            &format!("--include={packages}"),
            "bookworm",
        ])
        .arg(tree);
    host::output(&mut mmdebstrap)?;
    Ok(std::fs::write(
        tree.join("etc/made-by-the-test"),
        "a tree of the user's own\n",
    )?)
}
