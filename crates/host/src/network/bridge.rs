//! The kernel's bridge of a network, and the taps on it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::Error;
use super::cidr::Cidr;
use super::definition::Network;
use crate::netlink::{Request, attribute};

/// `IFLA_BRPORT_ISOLATED` of `linux/if_link.h`, since Linux 4.18.
const ISOLATED: u16 = 33;

/// Where `/sys/class/net` is.
#[derive(Clone, Debug)]
pub struct Interfaces {
    pub sys: PathBuf,
}

/// What became of a tap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    Now,
    Already,
    /// It is on another bridge, which is not ours.
    Elsewhere(String),
}

impl Interfaces {
    fn read(&self, name: &str, file: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.sys.join(name).join(file)).ok()?;
        Some(text.trim().to_owned())
    }

    pub fn exists(&self, name: &str) -> bool {
        self.sys.join(name).exists()
    }

    /// Whether there is a bridge of that name which was made here.
    pub fn is_ours(&self, name: &str) -> bool {
        self.sys.join(name).join("bridge").exists()
            && self.read(name, "address") == Some(shown(mac(name)))
    }

    /// The bridge that an interface is on.
    pub fn bridge_of(&self, id: &str) -> Option<String> {
        let link = std::fs::read_link(self.sys.join(id).join("master")).ok()?;
        Some(link.file_name()?.to_str()?.to_owned())
    }

    /// Names of all taps.
    pub fn taps(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(&self.sys).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names
            .filter(|name| self.sys.join(name).join("tun_flags").exists())
            .collect()
    }

    /// Names of what is on a bridge.
    pub fn ports(&self, bridge: &str) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.sys.join(bridge).join("brif"));
        let entries = entries.into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    fn index(&self, name: &str) -> Option<u32> {
        self.read(name, "ifindex")?.parse().ok()
    }

    /// Makes the bridge, or brings the one that is there to the same state.
    pub fn make(&self, network: &Network) -> Result<(), Error> {
        let name = &*network.name;
        if !self.exists(name) {
            self.create(name)?;
        } else if !self.is_ours(name) {
            return Err(Error::NotOurs {
                name: name.to_owned(),
            });
        }
        let failed = |source| Error::interface("address", name, source);
        let index = self
            .index(name)
            .ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
        let there = addresses(name)?;
        for cidr in there
            .iter()
            .filter(|cidr| !network.addresses.contains(cidr))
        {
            let request = Request::delete_address(index, cidr.address, cidr.prefix);
            request.send().map_err(failed)?;
        }
        for cidr in network
            .addresses
            .iter()
            .filter(|cidr| !there.contains(cidr))
        {
            let request = Request::add_address(index, cidr.address, cidr.prefix);
            request.send().map_err(failed)?;
        }
        let up = Request::change().name(name).up();
        up.send()
            .map_err(|source| Error::interface("bring up", name, source))
    }

    fn create(&self, name: &str) -> Result<(), Error> {
        let kind = attribute(libc::IFLA_INFO_KIND, b"bridge");
        let request = Request::create()
            .name(name)
            .attribute(libc::IFLA_ADDRESS, &mac(name))
            .attribute(libc::IFLA_LINKINFO, &kind);
        request
            .send()
            .map_err(|source| Error::interface("make", name, source))
    }

    /// Whether the bridge is there, has the addresses and is up.
    pub fn is_as_wanted(&self, network: &Network) -> bool {
        let name = &*network.name;
        let flags = self.read(name, "flags").unwrap_or_default();
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
        let there = addresses(name).unwrap_or_default();
        let wanted: BTreeSet<Cidr> = network.addresses.iter().copied().collect();
        self.is_ours(name) && flags & libc::IFF_UP as u32 != 0 && there == wanted
    }

    /// Removes the bridge of a network; what was on it stays. None is fine.
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        if !self.is_ours(name) {
            return Ok(());
        }
        crate::tap::down(name).map_err(Error::Tap)
    }

    /// Puts a tap onto a network's bridge.
    pub fn attach(&self, tap: &str, network: &Network) -> Result<Attached, Error> {
        let failed = |source| Error::interface("attach", tap, source);
        let before = self.bridge_of(tap);
        let attached = match before {
            Some(bridge) if bridge == *network.name => Attached::Already,
            Some(bridge) if !self.is_ours(&bridge) => return Ok(Attached::Elsewhere(bridge)),
            _ => {
                let index = self.index(&network.name);
                let index = index.ok_or_else(|| Error::Down {
                    name: network.name.to_string(),
                })?;
                let request = Request::change().name(tap);
                let request = request.attribute(libc::IFLA_MASTER, &index.to_ne_bytes());
                request.send().map_err(failed)?;
                Attached::Now
            }
        };
        self.isolate(tap, network.isolation).map_err(failed)?;
        Ok(attached)
    }

    fn isolate(&self, tap: &str, on: bool) -> std::io::Result<()> {
        let wanted = if on { "1" } else { "0" };
        if self.read(tap, "brport/isolated").as_deref() == Some(wanted) {
            return Ok(());
        }
        let data = attribute(ISOLATED, &[on.into()]);
        let kind = attribute(libc::IFLA_INFO_SLAVE_KIND, b"bridge");
        let info = [kind, attribute(libc::IFLA_INFO_SLAVE_DATA, &data)].concat();
        Request::change()
            .name(tap)
            .attribute(libc::IFLA_LINKINFO, &info)
            .send()
    }
}

/// Its own address, not that of whichever tap comes first: guests remember it. Made of the name, it
/// is how a bridge of ours is known, from its first moment.
fn mac(name: &str) -> [u8; 6] {
    let mut mac: [u8; 6] = [0x02, 0x6d, 0x76, 0, 0, 0];
    for (at, byte) in name.bytes().enumerate() {
        let place = 3 + at % 3;
        mac[place] = mac[place].wrapping_mul(31).wrapping_add(byte);
    }
    mac
}

fn shown(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// Addresses of an interface, without those that the kernel gives it of itself.
fn addresses(name: &str) -> Result<BTreeSet<Cidr>, Error> {
    let all = nix::ifaddrs::getifaddrs()
        .map_err(|error| Error::interface("examine", name, error.into()))?;
    let own = all.filter(|one| one.interface_name == name);
    Ok(own
        .filter_map(|one| {
            let (address, mask) = (one.address?, one.netmask?);
            if let (Some(address), Some(mask)) = (address.as_sockaddr_in(), mask.as_sockaddr_in()) {
                let prefix = mask.ip().to_bits().count_ones() as u8;
                return Some(Cidr {
                    address: IpAddr::V4(address.ip()),
                    prefix,
                });
            }
            let (address, mask) = (address.as_sockaddr_in6()?, mask.as_sockaddr_in6()?);
            let prefix = mask.ip().to_bits().count_ones() as u8;
            let address = address.ip();
            (!address.is_unicast_link_local()).then_some(Cidr {
                address: address.into(),
                prefix,
            })
        })
        .collect())
}

impl Interfaces {
    pub fn below(root: &Path) -> Self {
        Self {
            sys: root.join("sys/class/net"),
        }
    }
}
