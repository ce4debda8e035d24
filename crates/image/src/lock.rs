//! `microvm.lock`: what a build resolved, so that the next one gives the same store path.
//!
//! An entry belongs to what was asked for (suite, architecture, packages, mirror, kernel), not to
//! a VM: those that ask for the same share it. Written sorted, so that it differs only where
//! something changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, io_at};

const VERSION: u32 = 1;
const HEADER: &str = "\
# microvm.lock: what `microvm build` resolved. Commit it beside microvm.toml: the same packages
# are taken again, here and elsewhere, until `microvm build --update` writes it anew.
# One entry for each set of suite, architecture, packages, mirror and kernel that VMs ask for;
# packages as `NAME VERSION ARCHITECTURE`. Written by the program; not meant to be edited.
";

/// A package as it is pinned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Package {
    pub name: String,
    pub version: String,
    pub arch: String,
}

/// What one resolution gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// As it was asked for.
    pub suite: String,
    pub codename: String,
    /// Debian's name of the architecture.
    pub arch: String,
    /// Packages that the definition asks for, sorted.
    pub requested: Vec<String>,
    /// `URI SUITE COMPONENT…`, as they are written into the guest.
    pub sources: Vec<String>,
    /// Packages of the kernel and its modules, which are not installed by dpkg.
    pub kernel: Vec<Package>,
    /// All packages of the guest, sorted.
    pub packages: Vec<Package>,
}

/// A container image as it is pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OciEntry {
    /// As it was asked for.
    pub image: String,
    /// Debian's name of the architecture, which is also that of images.
    pub arch: String,
    /// Of its manifest, or of the list of those for several architectures.
    pub digest: String,
}

/// The lock file of one source of definitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    entries: BTreeMap<String, Entry>,
    images: BTreeMap<String, OciEntry>,
    changed: bool,
    /// Set since the file was read: an update resolves each but once.
    fresh: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: u32,
    #[serde(default)]
    debian: BTreeMap<String, Entry>,
    #[serde(default)]
    oci: BTreeMap<String, OciEntry>,
}

impl Lock {
    /// Reads the file; an absent one is an empty lock.
    pub fn load(path: &Path) -> Result<Self, Error> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|source| Error::LockFile {
                path: path.to_owned(),
                source,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(io_at("read", path)(error)),
        }
    }

    /// Reads the text of a lock file.
    pub fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let text: Text = toml::from_str(text)?;
        if text.version != VERSION {
            let version = text.version;
            return Err(
                format!("Its version is `{version}`; this program reads `{VERSION}`").into(),
            );
        }
        Ok(Self {
            entries: text.debian,
            images: text.oci,
            ..Self::default()
        })
    }

    /// Writes the file if anything changed; the old one stays until the new one is whole.
    pub fn save(&mut self, path: &Path) -> Result<(), Error> {
        if !self.changed {
            return Ok(());
        }
        let dir = match path.parent() {
            Some(dir) if dir != Path::new("") => dir.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut file = tempfile::Builder::new()
            .prefix(".microvm.lock-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(&dir)
            .map_err(io_at("write", path))?;
        file.write_all(self.render().as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(io_at("write", path))?;
        file.persist(path)
            .map_err(|error| io_at("write", path)(error.error))?;
        self.changed = false;
        Ok(())
    }

    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The entry, if it was set since the file was read.
    pub fn get_fresh(&self, key: &str) -> Option<&Entry> {
        self.fresh.contains(key).then(|| self.get(key)).flatten()
    }

    /// Sets an entry; the file counts as changed only if the entry differs.
    pub fn set(&mut self, key: &str, entry: Entry) {
        self.fresh.insert(key.to_owned());
        if self.entries.get(key) != Some(&entry) {
            self.entries.insert(key.to_owned(), entry);
            self.changed = true;
        }
    }

    /// The image that is pinned; of an update, only where it was set since the file was read.
    pub fn oci(&self, key: &str, update: bool) -> Option<&OciEntry> {
        let fresh = !update || self.fresh.contains(key);
        self.images.get(key).filter(|_| fresh)
    }

    /// Pins an image; the file counts as changed only if the entry differs.
    pub fn set_oci(&mut self, key: &str, entry: OciEntry) {
        self.fresh.insert(key.to_owned());
        if self.images.get(key) != Some(&entry) {
            self.images.insert(key.to_owned(), entry);
            self.changed = true;
        }
    }

    /// Drops the entries that no VM asks for any more.
    pub fn retain(&mut self, used: impl Fn(&str) -> bool) {
        let before = self.entries.len() + self.images.len();
        self.entries.retain(|key, _| used(key));
        self.images.retain(|key, _| used(key));
        self.changed |= self.entries.len() + self.images.len() != before;
    }

    /// The text of the file.
    pub fn render(&self) -> String {
        let mut text = format!("{HEADER}version = {VERSION}\n");
        for (key, entry) in &self.entries {
            let _ = write!(text, "\n[debian.{key}]\n");
            for (name, value) in [
                ("suite", &entry.suite),
                ("codename", &entry.codename),
                ("arch", &entry.arch),
            ] {
                let _ = writeln!(text, "{name} = {}", quote(value));
            }
            render_list(&mut text, "requested", &entry.requested);
            render_list(&mut text, "sources", &entry.sources);
            render_list(&mut text, "kernel", &entry.kernel);
            render_list(&mut text, "packages", &entry.packages);
        }
        for (key, entry) in &self.images {
            let _ = write!(text, "\n[oci.{key}]\n");
            for (name, value) in [
                ("image", &entry.image),
                ("arch", &entry.arch),
                ("digest", &entry.digest),
            ] {
                let _ = writeln!(text, "{name} = {}", quote(value));
            }
        }
        text
    }
}

fn render_list(text: &mut String, name: &str, items: &[impl ToString]) {
    if items.is_empty() {
        let _ = writeln!(text, "{name} = []");
        return;
    }
    let _ = writeln!(text, "{name} = [");
    for item in items {
        let _ = writeln!(text, "    {},", quote(&item.to_string()));
    }
    let _ = writeln!(text, "]");
}

fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.version, self.arch)
    }
}

/// A text that is not `NAME VERSION ARCHITECTURE`.
#[derive(Debug, thiserror::Error)]
#[error("Package `{0}` is not `NAME VERSION ARCHITECTURE`")]
pub struct BadPackage(String);

impl FromStr for Package {
    type Err = BadPackage;

    fn from_str(text: &str) -> Result<Self, BadPackage> {
        let valid = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_alphanumeric())
                && word
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.:~".contains(&b))
        };
        match text.split(' ').collect::<Vec<_>>()[..] {
            [name, version, arch] if valid(name) && valid(version) && valid(arch) => Ok(Self {
                name: name.to_owned(),
                version: version.to_owned(),
                arch: arch.to_owned(),
            }),
            _ => Err(BadPackage(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Package {
    type Error = BadPackage;

    fn try_from(text: String) -> Result<Self, BadPackage> {
        text.parse()
    }
}

impl From<Package> for String {
    fn from(package: Package) -> String {
        package.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            suite: "stable".into(),
            codename: "trixie".into(),
            arch: "amd64".into(),
            requested: vec![],
            sources: vec!["http://example.org/debian trixie main".into()],
            kernel: vec!["linux-image-6.12 6.12.1-1 amd64".parse().unwrap()],
            packages: vec![
                "adduser 3.152 all".parse().unwrap(),
                "login 1:4.16.0-2+really2.41-5 amd64".parse().unwrap(),
            ],
        }
    }

    #[test]
    fn written_as_documented_and_read_back() {
        let mut lock = Lock::default();
        lock.set("k1", entry());
        insta::assert_snapshot!(lock.render());
        let read = Lock::parse(&lock.render()).unwrap();
        assert_eq!(read.entries, lock.entries);
    }

    #[test]
    fn an_image_is_pinned_by_its_digest() {
        let mut lock = Lock::default();
        let entry = OciEntry {
            image: "registry.example/you/web:1".into(),
            arch: "amd64".into(),
            digest: "sha256:00".into(),
        };
        lock.set_oci("k", entry.clone());
        let read = Lock::parse(&lock.render()).unwrap();
        assert_eq!(read.oci("k", false), Some(&entry));
        assert_eq!(read.oci("k", true), None);
        assert_eq!(lock.oci("k", true), Some(&entry));
    }

    #[test]
    fn saved_only_when_changed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("microvm.lock");
        let mut lock = Lock::load(&path).unwrap();
        lock.save(&path).unwrap();
        assert!(!path.exists());
        lock.set("k1", entry());
        lock.save(&path).unwrap();
        fs::write(temp.path().join("other"), "").unwrap();
        let mut lock = Lock::load(&path).unwrap();
        lock.set("k1", entry());
        assert!(!lock.changed);
        lock.retain(|_| false);
        assert!(lock.changed);
    }

    #[rstest::rstest]
    #[case::other_version("version = 2")]
    #[case::unknown_key("version = 1\nnix = 3")]
    #[case::option_like_package(
        "version = 1\n[debian.x]\nsuite='s'\ncodename='c'\narch='a'\nrequested=[]\nsources=[]\nkernel=['-o 1 all']\npackages=[]"
    )]
    fn refuses(#[case] text: &str) {
        assert!(Lock::parse(text).is_err());
    }
}
