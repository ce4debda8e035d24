//! What dnsmasq(8) is told: addresses and names of one network. The host's own dnsmasq has
//! another configuration and other interfaces, and knows nothing of it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::addresses::Given;
use super::definition::{Dhcp, Network};

/// The domain of VMs' names.
pub const DOMAIN: &str = "microvm";

/// Files of one network's dnsmasq.
#[derive(Clone, Debug)]
pub struct Files {
    /// Ours, gone with the network.
    pub run: PathBuf,
    /// What it remembers of leases, kept over a restart of the host.
    pub leases: PathBuf,
}

impl Files {
    pub fn configuration(&self) -> PathBuf {
        self.run.join("dnsmasq.conf")
    }

    pub fn pid(&self) -> PathBuf {
        self.run.join("pid")
    }

    pub fn names(&self) -> PathBuf {
        self.run.join("names")
    }

    pub fn fixed(&self) -> PathBuf {
        self.run.join("fixed")
    }
}

/// Its configuration; what varies with the VMs is in files that it reads again when it is told.
pub fn configuration(network: &Network, files: &Files, user: &str) -> String {
    let name = &network.name;
    let path = |path: &Path| path.display().to_string();
    let mut text = format!(
        "# Written by `microvm`, which makes it anew.\n\
         user={user}\n\
         interface={name}\n\
         except-interface=lo\n\
         bind-dynamic\n\
         pid-file={}\n\
         domain={DOMAIN}\n\
         local=/{DOMAIN}/\n\
         no-hosts\n\
         addn-hosts={}\n\
         localise-queries\n\
         domain-needed\n\
         bogus-priv\n\
         quiet-dhcp\n\
         quiet-dhcp6\n\
         quiet-ra\n",
        path(&files.pid()),
        path(&files.names()),
    );
    for line in dhcp(network, files).into_iter().chain(router(network)) {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{line}");
    }
    text
}

/// A guest's name is what the host calls it: `dhcp-ignore-names` is about what guests say.
fn dhcp(network: &Network, files: &Files) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    let mut lines = vec![format!("dhcp-leasefile={}", path(&files.leases))];
    let (Dhcp::On { range }, Some(v4)) = (&network.dhcp, network.v4()) else {
        return lines;
    };
    let of = v4.network().address;
    lines.push(match range {
        Some(range) => format!("dhcp-range={},{},1h", range.first, range.last),
        None => format!("dhcp-range={of},static,1h"),
    });
    lines.extend([
        format!("dhcp-hostsfile={}", path(&files.fixed())),
        "dhcp-authoritative".to_owned(),
        "dhcp-ignore-names".to_owned(),
        format!("dhcp-lease-max={MOST}"),
    ]);
    if !network.gateway {
        // A way out that leads nowhere would be believed.
        lines.push("dhcp-option=option:router".to_owned());
    }
    lines
}

/// As many as have room in a /16; dnsmasq's own bound is 1,000.
const MOST: u32 = 65536;

/// `ra-names`: a guest that makes its IPv6 address of its MAC address has it under its name.
fn router(network: &Network) -> Vec<String> {
    if !network.router_advertisements {
        return Vec::new();
    }
    let v6 = network.addresses.iter().filter(|cidr| cidr.is_v6());
    let ranges = v6.map(|cidr| {
        let of = cidr.network().address;
        format!("dhcp-range={of},ra-stateless,ra-names,64,1h")
    });
    let lifetime = if network.gateway { 1800 } else { 0 };
    let interval = 600;
    let name = &network.name;
    [
        "enable-ra".to_owned(),
        format!("ra-param={name},{interval},{lifetime}"),
    ]
    .into_iter()
    .chain(ranges)
    .collect()
}

/// Who has which address by DHCP, one a line.
pub fn fixed(network: &Network, given: &[Given]) -> String {
    let mut text = String::new();
    let of_vms = given.iter().filter(|one| one.there);
    let named: Vec<(String, String, Option<String>)> = of_vms
        .map(|one| {
            let name = is_first(one, given).then(|| one.vm.to_string());
            (one.mac.to_string(), one.address.to_string(), name)
        })
        .collect();
    let is_a_vms = |mac: &str| named.iter().any(|(other, _, _)| other == mac);
    let others = network.leases.iter().filter(|lease| !is_a_vms(&lease.mac));
    let others = others.map(|lease| {
        let name = lease.name.as_ref().map(ToString::to_string);
        (lease.mac.to_string(), lease.address.to_string(), name)
    });
    for (mac, address, name) in named.iter().cloned().chain(others) {
        // Of a name with dots it would take the end for a domain.
        let name = name.filter(|name| !name.contains('.'));
        let name = name.map_or_else(String::new, |name| format!(",{name}"));
        let _ = writeln!(text, "{mac},{address}{name}");
    }
    text
}

/// A VM's name is that of its first interface on a network.
fn is_first(one: &Given, given: &[Given]) -> bool {
    let of_vm = given
        .iter()
        .filter(|other| other.there && other.vm == one.vm);
    of_vm
        .min_by_key(|other| &other.id)
        .is_some_and(|first| first.mac == one.mac)
}

/// Names of one network's guests, as hosts(5) has them.
pub fn names(network: &Network, given: &[Given]) -> String {
    let mut text = String::new();
    let of_vms = given.iter().filter(|one| one.there && is_first(one, given));
    for one in of_vms {
        let _ = writeln!(text, "{} {}.{DOMAIN}", one.address, one.vm);
    }
    for lease in &network.leases {
        let vm = given.iter().find(|one| one.there && one.mac == lease.mac);
        let Some(name) = &lease.name else { continue };
        if vm.is_none_or(|one| one.vm != *name) {
            let _ = writeln!(text, "{} {name}.{DOMAIN}", lease.address);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::definition::{Lease, example};
    use super::*;

    fn files() -> Files {
        Files {
            run: "/run/microvm-networks/lan".into(),
            leases: "/var/lib/microvms/.microvm/networks/lan/leases".into(),
        }
    }

    #[test]
    fn what_it_is_told() {
        let both = example("lan", &["10.0.0.1/24", "fd12:3456:789a::1/64"]);
        let mut small = example("small", &["10.0.1.1/30"]);
        (small.nat, small.gateway) = (false, false);
        let v6 = example("six", &["2001:db8::1/64"]);
        let texts = [both, small, v6].map(|network| configuration(&network, &files(), "dnsmasq"));
        insta::assert_snapshot!(texts.join("\n"));
    }

    fn given(vm: &str, id: &str, last: u8, there: bool) -> Given {
        Given {
            mac: format!("02:00:00:00:00:{last:02x}").try_into().unwrap(),
            address: [10, 0, 0, last].into(),
            vm: vm.to_owned().try_into().unwrap(),
            id: id.to_owned().try_into().unwrap(),
            there,
        }
    }

    #[test]
    fn who_is_known() {
        let mut network = example("lan", &["10.0.0.1/24"]);
        let lease = |mac: &str, last: u8, name: Option<&str>| Lease {
            mac: mac.to_owned().try_into().unwrap(),
            address: [10, 0, 0, last].into(),
            name: name.map(|name| name.to_owned().try_into().unwrap()),
        };
        network.leases = vec![
            lease("02:00:00:00:00:02", 2, Some("www")),
            lease("52:54:00:00:00:09", 9, Some("printer")),
            lease("52:54:00:00:00:0a", 10, None),
        ];
        let given = [
            given("web", "vm-web", 2, true),
            given("web", "vm-web2", 3, true),
            given("a.b", "vm-ab", 4, true),
            given("gone", "vm-gone", 5, false),
        ];
        assert_eq!(
            fixed(&network, &given),
            "02:00:00:00:00:02,10.0.0.2,web\n02:00:00:00:00:03,10.0.0.3\n\
             02:00:00:00:00:04,10.0.0.4\n52:54:00:00:00:09,10.0.0.9,printer\n\
             52:54:00:00:00:0a,10.0.0.10\n"
        );
        assert_eq!(
            names(&network, &given),
            "10.0.0.2 web.microvm\n10.0.0.4 a.b.microvm\n10.0.0.2 www.microvm\n\
             10.0.0.9 printer.microvm\n"
        );
    }
}
