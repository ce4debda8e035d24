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
    /// A container image.
    Oci(Oci),
    /// Nothing to build: `kernel` and `initrdPath` (and a store disk made elsewhere) are given,
    /// as in `config.microvm` of a NixOS guest.
    Given {
        store_disk: Option<PathBuf>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oci {
    pub image: OciImage,
    /// `false`: the registry may speak HTTP, or show a certificate that nobody vouches for.
    pub tls_verify: bool,
    pub init: OciInit,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OciImage {
    /// `registry/name:tag` or `registry/name@sha256:…`
    Registry(String),
    /// On this host; the path is absolute.
    Local {
        format: OciFormat,
        path: PathBuf,
        /// Which image of several.
        reference: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OciFormat {
    /// A directory with an `index.json`.
    Layout,
    /// Such a directory as a tar archive.
    Archive,
    /// What `docker save` writes.
    DockerArchive,
    /// Whichever of these is there.
    Found,
}

/// What runs as the guest's init.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OciInit {
    /// The image's own, where it has one; else its entrypoint below ours.
    Auto,
    Image,
    Entrypoint,
}

impl OciImage {
    /// Reads an image as skopeo(1) names it, or a plain path; `None` where it is neither.
    pub fn parse(text: &str, absolute: impl Fn(&str) -> PathBuf) -> Option<Self> {
        let local = [
            ("oci:", OciFormat::Layout),
            ("oci-archive:", OciFormat::Archive),
            ("docker-archive:", OciFormat::DockerArchive),
        ];
        for (prefix, format) in local {
            let Some(rest) = text.strip_prefix(prefix) else {
                continue;
            };
            let (path, reference) = match rest.split_once(':') {
                Some((path, reference)) => (path, Some(reference)),
                None => (rest, None),
            };
            let reference_is_right = reference.is_none_or(is_plain);
            return (!path.is_empty() && reference_is_right).then(|| Self::Local {
                format,
                path: absolute(path),
                reference: reference.map(str::to_owned),
            });
        }
        if text.starts_with(['/', '.']) {
            // A colon would divide the path from a reference.
            return (!text.contains(':')).then(|| Self::Local {
                format: OciFormat::Found,
                path: absolute(text),
                reference: None,
            });
        }
        let name = text.strip_prefix("docker://").unwrap_or(text);
        let named = is_plain(name) && name.contains('/');
        named.then(|| Self::Registry(name.to_owned()))
    }
}

/// What names of registries, images, tags and digests are made of.
fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
        && text.len() <= 512
        && !text.contains("://")
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_./:@+[]".contains(&b))
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debian {
    /// Suite or codename: `stable`, `trixie`, `bookworm`.
    pub suite: String,
    /// Beyond what every guest has (systemd, udev, dbus, openssh-server, iproute2, mount).
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn parse(text: &str) -> Option<OciImage> {
        OciImage::parse(text, |path| PathBuf::from("/src").join(path))
    }

    #[rstest]
    #[case("registry.example/a/b:1", "registry.example/a/b:1")]
    #[case("docker://[::1]:5000/a@sha256:00", "[::1]:5000/a@sha256:00")]
    fn an_image_of_a_registry(#[case] text: &str, #[case] name: &str) {
        assert_eq!(parse(text), Some(OciImage::Registry(name.to_owned())));
    }

    #[rstest]
    #[case("oci:img:latest", OciFormat::Layout, "/src/img", Some("latest"))]
    #[case("oci-archive:/x/a.tar", OciFormat::Archive, "/x/a.tar", None)]
    #[case(
        "docker-archive:a.tar:web:1",
        OciFormat::DockerArchive,
        "/src/a.tar",
        Some("web:1")
    )]
    #[case("./a.tar", OciFormat::Found, "/src/./a.tar", None)]
    fn an_image_on_this_host(
        #[case] text: &str,
        #[case] format: OciFormat,
        #[case] path: &str,
        #[case] reference: Option<&str>,
    ) {
        let expected = OciImage::Local {
            format,
            path: path.into(),
            reference: reference.map(str::to_owned),
        };
        assert_eq!(parse(text), Some(expected));
    }

    #[rstest]
    #[case("busybox")]
    #[case("-o/x")]
    #[case("a/b c")]
    #[case("oci:")]
    #[case("https://registry.example/a")]
    #[case("docker-daemon:")]
    fn what_names_no_image(#[case] text: &str) {
        assert_eq!(parse(text), None);
    }
}
