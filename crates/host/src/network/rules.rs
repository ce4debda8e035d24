//! NAT and who may come in, as one table of nftables that is replaced at one instant. No other
//! table is touched.

use std::io::Write;
use std::process::{Command, Stdio};

use super::Error;
use super::definition::Network;
use crate::program;

/// All rules for the networks that are up.
pub fn text(networks: &[Network]) -> String {
    let mut text = "add table inet microvm\ndelete table inet microvm\n".to_owned();
    let behind_nat: Vec<&Network> = networks.iter().filter(|network| network.nat).collect();
    if behind_nat.is_empty() {
        return text;
    }
    let forward: String = behind_nat.iter().map(|network| incoming(network)).collect();
    let outgoing: String = behind_nat.iter().map(|network| outgoing(network)).collect();
    text += &format!(
        "table inet microvm {{\n\
         \tchain forward {{\n\
         \t\ttype filter hook forward priority filter; policy accept;\n\
         {forward}\t}}\n\
         \tchain postrouting {{\n\
         \t\ttype nat hook postrouting priority srcnat; policy accept;\n\
         {outgoing}\t}}\n\
         }}\n"
    );
    text
}

/// From elsewhere comes what guests asked for, and what the host's own rules have redirected.
fn incoming(network: &Network) -> String {
    let name = &network.name;
    let other = format!("\t\tiifname != \"{name}\" oifname \"{name}\"");
    format!(
        "{other} ct state established,related accept\n{other} ct status dnat accept\n{other} drop\n"
    )
}

/// Addresses that mean something elsewhere need no other: of IPv6 only unique local ones are
/// masqueraded.
fn outgoing(network: &Network) -> String {
    let name = &network.name;
    let hidden = network.addresses.iter();
    let hidden = hidden.filter(|cidr| !cidr.is_v6() || cidr.is_unique_local());
    hidden
        .map(|cidr| {
            let family = if cidr.is_v6() { "ip6" } else { "ip" };
            let of = cidr.network();
            format!(
                "\t\t{family} saddr {of} {family} daddr != {of} oifname != \"{name}\" masquerade\n"
            )
        })
        .collect()
}

/// Replaces the table, or removes it where no network needs it.
pub fn apply(networks: &[Network]) -> Result<(), Error> {
    let needed = networks.iter().any(|network| network.nat);
    let program = match program::find("nft") {
        // Without it there cannot be a table of ours.
        Err(_) if !needed => return Ok(()),
        found => found?,
    };
    let failed = |source| Error::Run {
        program: program.clone(),
        source,
    };
    let mut child = Command::new(&program)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // What it does not read, it says why.
        let _ = stdin.write_all(text(networks).as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Rules {
        said: said.lines().next().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::definition::example;
    use super::*;

    #[test]
    fn what_they_say() {
        let both = example("lan", &["10.0.0.1/24", "fd12:3456:789a::1/64"]);
        let global = example("wan6", &["10.0.1.1/24", "2001:db8::1/64"]);
        let mut open = example("open", &["10.0.2.1/24"]);
        open.nat = false;
        insta::assert_snapshot!(text(&[both, global, open]));
    }

    #[test]
    fn without_nat_there_is_no_table() {
        let mut open = example("open", &["10.0.2.1/24"]);
        open.nat = false;
        assert!(!text(&[open]).contains("chain"));
    }
}
