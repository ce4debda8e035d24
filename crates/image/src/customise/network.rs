//! The network: addresses by DHCP and router advertisements, through systemd-networkd.

use std::path::Path;

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

/// Gives every Ethernet interface an address.
pub(super) fn dhcp(root: &Path) -> Result<(), Error> {
    let networks = root.join("etc/systemd/network");
    write::replace(&networks.join("99-dhcp.network"), DHCP.as_bytes(), 0o644)?;
    if root.join("usr/lib/systemd/systemd-resolved").exists() {
        let stub = "../run/systemd/resolve/stub-resolv.conf";
        write::link(&root.join("etc/resolv.conf"), stub)?;
    }
    Ok(())
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
