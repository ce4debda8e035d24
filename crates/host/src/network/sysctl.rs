//! What has to be set in the kernel for guests to reach the outside, and what was set before.
//!
//! Whether a packet is forwarded is asked of the interface that it comes in by, so answers from
//! outside need it there too, on an interface that may not be there yet: both switches are the
//! host's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use super::definition::Network;
use crate::fleet::fault;

/// `/proc/sys`, and the file that remembers.
#[derive(Debug)]
pub struct Sysctls<'a> {
    pub root: &'a Path,
    pub record: PathBuf,
}

/// What was set, below `/proc/sys`, and what was there before.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// The kernel forgets at its end, and so do we.
    boot: String,
    set: BTreeMap<String, Change>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Change {
    from: String,
    to: String,
    /// What the kernel changes along with it.
    beside: BTreeMap<String, String>,
    /// Whether it is being set back: what is beside it may still have to be.
    #[serde(default)]
    ends: bool,
}

const V4: &str = "net/ipv4/ip_forward";
const V6: &str = "net/ipv6/conf/all/forwarding";

impl Sysctls<'_> {
    /// Sets what these networks need, and sets back what none of them needs any more.
    pub fn apply(&self, networks: &[Network]) -> Result<(), Error> {
        let behind_nat = || networks.iter().filter(|network| network.nat);
        let needs = |v6: bool| {
            behind_nat().any(|network| network.addresses.iter().any(|cidr| cidr.is_v6() == v6))
        };
        let mut record = self.read();
        let mut wanted = Vec::new();
        if needs(false) {
            wanted.push((V4.to_owned(), "1"));
        }
        if needs(true) {
            // First: a host that forwards believes routers only where this says 2.
            let believing: Vec<String> = self.believing_routers(&record).collect();
            wanted.extend(believing.into_iter().map(|key| (key, "2")));
            wanted.push((V6.to_owned(), "1"));
        }
        let is_wanted = |key: &String| wanted.iter().any(|(wanted, _)| wanted == key);
        let unwanted: Vec<String> = record
            .set
            .keys()
            .filter(|key| !is_wanted(key))
            .cloned()
            .collect();
        // Forwarding ends before routers are believed as before.
        for key in unwanted.iter().rev() {
            if let Some(change) = record.set.get_mut(key)
                && (change.ends || self.get(key).as_ref() == Some(&change.to))
            {
                // Only what is still as it was set; an interface may be gone.
                change.ends = true;
                self.write(&record)?;
                fault::point();
                self.set_back(key, &record.set[key])?;
            }
            record.set.remove(key);
        }
        for (key, value) in wanted {
            let Some(before) = self.get(&key) else {
                continue;
            };
            if before != value {
                let change = Change {
                    from: before,
                    to: value.to_owned(),
                    beside: self.beside(&key),
                    ends: false,
                };
                record.set.entry(key.clone()).or_insert(change);
                self.write(&record)?;
                fault::point();
                self.set(&key, value)?;
                fault::point();
            }
        }
        self.write(&record)
    }

    /// Interfaces of which the kernel itself takes routes from routers (1), and those that were
    /// such before.
    fn believing_routers(&self, record: &Record) -> impl Iterator<Item = String> {
        let names = self.interfaces("net/ipv6/conf").into_iter();
        let keys = names
            .filter(|name| name != "lo")
            .map(|name| format!("net/ipv6/conf/{name}/accept_ra"));
        keys.filter(|key| record.set.contains_key(key) || self.get(key).as_deref() == Some("1"))
    }

    fn get(&self, key: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join(key)).ok()?;
        Some(text.trim().to_owned())
    }

    fn set(&self, key: &str, value: &str) -> Result<(), Error> {
        let path = self.root.join(key);
        std::fs::write(&path, value).map_err(|source| Error::io("set", &path, source))
    }

    fn set_back(&self, key: &str, change: &Change) -> Result<(), Error> {
        if self.get(key).is_some() {
            self.set(key, &change.from)?;
        }
        fault::point();
        let differs =
            |(key, value): &(&String, &String)| self.get(key).is_some_and(|now| now != **value);
        let mut beside = change.beside.iter().filter(differs);
        beside.try_for_each(|(key, value)| self.set(key, value))
    }

    /// A switch for the whole host is one for each interface, whatever each had; the one of IPv4
    /// decides on redirects too.
    fn beside(&self, key: &str) -> BTreeMap<String, String> {
        let family = match key {
            V4 => "net/ipv4/conf",
            V6 => "net/ipv6/conf",
            _ => return BTreeMap::new(),
        };
        let redirects = format!("{family}/all/accept_redirects");
        let each = self.interfaces(family).into_iter();
        let each = each.map(|name| format!("{family}/{name}/forwarding"));
        each.chain([redirects])
            .filter_map(|key| Some((key.clone(), self.get(&key)?)))
            .collect()
    }

    fn interfaces(&self, family: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join(family));
        let entries = entries.into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name != "all").collect()
    }

    fn read(&self) -> Record {
        let boot = self.get("kernel/random/boot_id").unwrap_or_default();
        let text = std::fs::read_to_string(&self.record).unwrap_or_default();
        let record: Record = serde_json::from_str(&text).unwrap_or_default();
        match record.boot == boot {
            true => record,
            false => Record {
                boot,
                ..Record::default()
            },
        }
    }

    fn write(&self, record: &Record) -> Result<(), Error> {
        if record.set.is_empty() {
            return Ok(crate::fleet::files::delete(&self.record)?);
        }
        let text = serde_json::to_string_pretty(record).unwrap_or_default();
        Ok(crate::fleet::files::replace_file(&self.record, &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::definition::example;
    use super::*;

    struct Kernel(tempfile::TempDir);

    impl Kernel {
        fn new() -> Self {
            let kernel = Self(tempfile::tempdir().unwrap());
            kernel.put("kernel/random/boot_id", "one");
            kernel.put(V4, "0");
            kernel.put(V6, "0");
            kernel.put("net/ipv6/conf/all/accept_ra", "1");
            kernel.put("net/ipv6/conf/eth0/accept_ra", "1");
            kernel.put("net/ipv6/conf/eth1/accept_ra", "0");
            kernel
        }

        fn put(&self, key: &str, value: &str) {
            let path = self.0.path().join(key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, value).unwrap();
        }

        fn all(&self) -> Vec<String> {
            [
                V4,
                V6,
                "net/ipv6/conf/eth0/accept_ra",
                "net/ipv6/conf/eth1/accept_ra",
            ]
            .map(|key| std::fs::read_to_string(self.0.path().join(key)).unwrap())
            .to_vec()
        }

        fn apply(&self, networks: &[Network]) {
            let record = self.0.path().join("record.json");
            let sysctls = Sysctls {
                root: self.0.path(),
                record,
            };
            sysctls.apply(networks).unwrap();
        }
    }

    #[test]
    fn what_is_set_is_set_back() {
        let kernel = Kernel::new();
        let before = kernel.all();
        let v4 = example("a", &["10.0.0.1/24"]);
        let both = example("b", &["10.0.1.1/24", "fd12::1/64"]);
        kernel.apply(std::slice::from_ref(&v4));
        assert_eq!(kernel.all(), ["1", "0", "1", "0"]);
        kernel.apply(&[v4.clone(), both.clone()]);
        kernel.apply(&[v4.clone(), both]);
        assert_eq!(kernel.all(), ["1", "1", "2", "0"]);
        kernel.apply(&[v4]);
        assert_eq!(kernel.all(), ["1", "0", "1", "0"]);
        kernel.apply(&[]);
        assert_eq!(kernel.all(), before);
        assert!(!kernel.0.path().join("record.json").exists());
    }

    #[test]
    fn what_the_host_has_set_itself_stays() {
        let kernel = Kernel::new();
        let v4 = example("a", &["10.0.0.1/24"]);
        kernel.put(V4, "1");
        kernel.apply(std::slice::from_ref(&v4));
        kernel.apply(&[]);
        assert_eq!(kernel.all()[0], "1");
    }

    #[test]
    fn another_boot_is_another_story() {
        let kernel = Kernel::new();
        let v4 = example("a", &["10.0.0.1/24"]);
        kernel.apply(std::slice::from_ref(&v4));
        // The host was started anew, and forwards by its own configuration.
        kernel.put("kernel/random/boot_id", "two");
        kernel.apply(&[]);
        assert_eq!(kernel.all()[0], "1");
    }
}
