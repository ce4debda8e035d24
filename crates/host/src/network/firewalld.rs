//! Where firewalld runs, guests of a bridge that is in no zone get no answer and reach nothing: it is
//! put into the zone that firewalld has for shared connections, for as long as the network is up. A
//! zone that somebody chose for it stays.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::program;

/// Lets DHCP, names, SSH and ICMP in from guests, and through what they ask of others (firewalld 0.9
/// and later).
const ZONE: &str = "nm-shared";

/// Where `/run` is.
pub fn admit(run: &Path, bridge: &str) {
    let Some(firewalld) = Firewalld::on(run) else {
        return;
    };
    let interface = |verb: &str| format!("--{verb}-interface={bridge}");
    if !firewalld.runs() || firewalld.succeeds(&[&interface("get-zone-of")]) {
        return;
    }
    let zone = format!("--zone={ZONE}");
    let add = interface("add");
    // What is not permanent as well is gone with `firewall-cmd --reload`.
    for arguments in [&["--permanent", &zone, &add][..], &[&zone, &add]] {
        if !firewalld.succeeds(arguments) {
            tracing::warn!(
                "`firewall-cmd {}` failed: firewalld may keep guests from DHCP, names and the outside",
                arguments.join(" ")
            );
            return;
        }
    }
}

/// Takes it out of that zone, if it is there.
pub fn forget(run: &Path, bridge: &str) {
    let Some(firewalld) = Firewalld::on(run) else {
        return;
    };
    let zone = format!("--zone={ZONE}");
    let remove = format!("--remove-interface={bridge}");
    if firewalld.runs() {
        firewalld.succeeds(&[&zone, &remove]);
        firewalld.succeeds(&["--permanent", &zone, &remove]);
    }
}

/// Its client.
struct Firewalld {
    program: std::path::PathBuf,
}

impl Firewalld {
    fn on(run: &Path) -> Option<Self> {
        if !run.join("firewalld").is_dir() {
            return None;
        }
        let program = program::find("firewall-cmd").ok()?;
        Some(Self { program })
    }

    fn runs(&self) -> bool {
        self.succeeds(&["--state"])
    }

    fn succeeds(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new(&self.program);
        let done = command.args(arguments).stdin(Stdio::null()).output();
        done.is_ok_and(|output| output.status.success())
    }
}
