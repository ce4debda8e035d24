//! virtio disks: which are there, and which one is meant.

use std::fmt;
use std::time::{Duration, Instant};

use guest_init::config::DiskRef;

use crate::Result;
use crate::failure::{self, Failure};

pub const POLL: Duration = Duration::from_millis(2);

/// A disk that the kernel found.
pub struct Disk {
    /// `vda`
    name: String,
    serial: String,
    mib: u64,
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} MiB", self.name, self.mib)?;
        if !self.serial.is_empty() {
            write!(f, ", serial `{}`", self.serial)?;
        }
        f.write_str(")")
    }
}

/// The virtio disks of the moment.
pub fn disks() -> Vec<Disk> {
    let entries = std::fs::read_dir("/sys/block")
        .into_iter()
        .flatten()
        .flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with("vd"))
        .map(disk)
        .collect()
}

fn disk(name: String) -> Disk {
    let read = |file: &str| {
        std::fs::read_to_string(format!("/sys/block/{name}/{file}")).unwrap_or_default()
    };
    let sectors: u64 = read("size").trim().parse().unwrap_or(0);
    Disk {
        serial: read("serial").trim().to_owned(),
        mib: sectors >> 11,
        name,
    }
}

/// Path of the disk that is meant, as soon as it is there.
///
/// A serial number decides where the disk at that place has none or its own; hypervisors without
/// serial numbers leave the place.
pub fn wait_for(wanted: &DiskRef, bound: Duration) -> Result<String> {
    let start = Instant::now();
    loop {
        if let Some(name) = find(wanted, &disks()) {
            let path = format!("/dev/{name}");
            if std::fs::exists(&path).unwrap_or(false) {
                return Ok(path);
            }
        }
        if start.elapsed() > bound {
            let place = place(wanted.index);
            let serial = wanted
                .serial
                .as_ref()
                .map(|serial| format!("with the serial `{serial}` or "));
            return Err(Failure::new(format!(
                "No disk {}at /dev/{place} after {} s; there are: {}",
                serial.unwrap_or_default(),
                bound.as_secs(),
                failure::disks()
            )));
        }
        std::thread::sleep(POLL);
    }
}

fn find<'a>(wanted: &DiskRef, disks: &'a [Disk]) -> Option<&'a str> {
    if let Some(serial) = &wanted.serial {
        if let Some(disk) = disks.iter().find(|disk| disk.serial == *serial) {
            return Some(&disk.name);
        }
        // With serial numbers on the disks, one that is missing is not replaced by its neighbour.
        if disks.iter().any(|disk| !disk.serial.is_empty()) {
            return None;
        }
    }
    let place = place(wanted.index);
    disks
        .iter()
        .find(|disk| disk.name == place)
        .map(|disk| disk.name.as_str())
}

/// `vda` for 0, `vdz` for 25, `vdaa` for 26.
fn place(index: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = index;
    loop {
        letters.push(b'a' + (rest % 26) as u8);
        match rest / 26 {
            0 => break,
            more => rest = more - 1,
        }
    }
    let letters: String = letters
        .iter()
        .rev()
        .map(|&letter| char::from(letter))
        .collect();
    format!("vd{letters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, serial: &str) -> Disk {
        Disk {
            name: name.to_owned(),
            serial: serial.to_owned(),
            mib: 1,
        }
    }

    #[test]
    fn places_have_the_kernels_names() {
        let names: Vec<String> = [0, 1, 25, 26, 27, 701, 702]
            .into_iter()
            .map(place)
            .collect();
        assert_eq!(
            names,
            ["vda", "vdb", "vdz", "vdaa", "vdab", "vdzz", "vdaaa"]
        );
    }

    #[test]
    fn a_serial_decides_over_the_place() {
        let wanted = DiskRef {
            serial: Some("store".to_owned()),
            index: 0,
        };
        let disks = [disk("vda", "vol0"), disk("vdb", "store")];
        assert_eq!(find(&wanted, &disks), Some("vdb"));
    }

    #[test]
    fn the_place_decides_where_no_disk_has_a_serial() {
        let wanted = DiskRef {
            serial: Some("store".to_owned()),
            index: 0,
        };
        assert_eq!(
            find(&wanted, &[disk("vda", ""), disk("vdb", "")]),
            Some("vda")
        );
        assert_eq!(find(&wanted, &[disk("vda", "vol0")]), None);
    }
}
