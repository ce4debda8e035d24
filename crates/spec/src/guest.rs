//! What is in a guest that `microvm` builds without Nix.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The checked `guest` table of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    pub source: GuestSource,
    /// `None`: root has no password and cannot log in with one. `Some("")`: root logs in with
    /// an empty one. Otherwise the password in clear or hashed by crypt(5) (`$y$…`).
    pub root_password: Option<String>,
    /// For root.
    pub ssh_keys: Vec<String>,
    pub users: BTreeMap<String, User>,
    /// User that is logged in on the console without being asked.
    pub autologin: Option<String>,
    /// Absolute path in the guest to what is there.
    pub files: BTreeMap<PathBuf, File>,
    /// systemd units to enable.
    pub enable: Vec<String>,
    pub network: Network,
    /// Commands run by `/bin/sh -e -c` in the image, in this order.
    pub run: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestSource {
    Debian(Debian),
    /// A root tree on the host, absolute (relative ones were resolved against the source).
    Directory(PathBuf),
    /// Nothing to build: `kernel` and `initrdPath` (and a store disk made elsewhere) are given,
    /// as in `config.microvm` of a NixOS guest.
    Given {
        store_disk: Option<PathBuf>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debian {
    /// Suite or codename: `stable`, `trixie`, `bookworm`.
    pub suite: String,
    /// Beyond what every guest has (systemd, udev, dbus, openssh-server, iproute2).
    pub packages: Vec<String>,
    /// URL of the archive; `None` takes the host's own apt configuration.
    pub mirror: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub uid: Option<u32>,
    pub groups: Vec<String>,
    pub shell: Option<PathBuf>,
    /// As for `rootPassword`.
    pub password: Option<String>,
    pub ssh_keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub content: FileContent,
    /// Permission bits, for example 0o644.
    pub mode: u32,
    /// `user` or `user:group`, resolved in the guest.
    pub owner: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileContent {
    Text(String),
    /// A file on the host, absolute.
    Source(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// DHCP and router advertisements on every Ethernet interface.
    Dhcp,
    /// Whatever the guest's own files say.
    None,
}
