//! The network: addresses by DHCP and router advertisements, through systemd-networkd.

use std::path::Path;

use super::files::PlacedFile;
use super::write;
use crate::error::Error;

/// Units that do it.
pub(super) const UNITS: [&str; 2] = ["systemd-networkd.service", "systemd-resolved.service"];

/// Sorts after what the user's own files say. `Kind=!*` leaves out bridges and veths that the
/// guest makes; the lease hangs on the MAC address, because a stateless guest may get another
/// machine id and would get another address.
const DHCP: &str = "\
[Match]
Type=ether
Kind=!*

[Network]
DHCP=yes
IPv6AcceptRA=yes

[DHCPv4]
ClientIdentifier=mac
";

/// What `/etc/resolv.conf` leads to.
const STUB: &str = "run/systemd/resolve/stub-resolv.conf";

/// Gives every Ethernet interface an address.
pub(super) fn dhcp(root: &Path) -> Result<(), Error> {
    let networks = root.join("etc/systemd/network");
    write::replace(&networks.join("99-dhcp.network"), DHCP.as_bytes(), 0o644)?;
    if root.join("usr/lib/systemd/systemd-resolved").exists() {
        write::link(&root.join("etc/resolv.conf"), &format!("../{STUB}"))?;
    }
    Ok(())
}

/// Lets commands that run in the tree resolve names as this host does, through the link that
/// [`dhcp`] made; `/run` is emptied in the end.
pub(crate) fn lend_resolver(root: &Path, resolv_conf: &[u8]) -> Result<(), Error> {
    write::replace(&root.join(STUB), resolv_conf, 0o644)
}

/// mmdebstrap lends the tree this host's file, which is not the guest's.
pub(super) fn forget_resolver(root: &Path, files: &[PlacedFile]) -> Result<(), Error> {
    let path = Path::new("/etc/resolv.conf");
    let resolv_conf = root.join("etc/resolv.conf");
    if resolv_conf.is_symlink() || files.iter().any(|file| file.path == path) {
        return Ok(());
    }
    write::link(&resolv_conf, &format!("../{STUB}"))
}

/// Nothing waits for an address: `enable` of networkd brings the unit that would.
pub(super) fn do_not_wait(root: &Path) -> Result<(), Error> {
    let wants = "etc/systemd/system/network-online.target.wants";
    write::remove(
        &root
            .join(wants)
            .join("systemd-networkd-wait-online.service"),
    )
}
