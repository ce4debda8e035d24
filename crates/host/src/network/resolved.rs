//! Names of guests on the host itself, where systemd-resolved answers for it: their domain is
//! asked of the bridge's dnsmasq. Elsewhere nothing is changed.

use std::path::Path;
use std::process::{Command, Stdio};

use super::definition::Network;
use super::dnsmasq::DOMAIN;
use crate::program;

/// Tells it of a network, where it runs. The kernel's own removal of the bridge takes it back.
pub fn tell(run: &Path, network: &Network) {
    let Some(server) = network.name_server() else {
        return;
    };
    if !run.join("systemd/resolve").is_dir() {
        return;
    }
    let Ok(program) = program::find("resolvectl") else {
        return;
    };
    let (name, server) = (&*network.name, server.to_string());
    let domain = format!("~{DOMAIN}");
    for arguments in [
        ["dns", name, &server],
        ["domain", name, &domain],
        ["default-route", name, "no"],
    ] {
        let done = Command::new(&program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !done.is_ok_and(|status| status.success()) {
            tracing::warn!(
                "`resolvectl {}` failed: names of VMs are not resolved on this host",
                arguments.join(" ")
            );
            return;
        }
    }
}
