//! Downloaded packages, kept in the cache for every VM: one is fetched once, and checked
//! against its hash each time that it is used.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use spec::guest::Debian;

use super::apt::Apt;
use super::archive;
use super::stanza::Stanza;
use crate::context::BuildContext;
use crate::error::{Error, io_at};
use crate::lock::{Entry, Package};
use crate::progress::Phase;

/// The packages of the cache.
pub(crate) struct Pool {
    dir: PathBuf,
}

impl Pool {
    pub(crate) fn new(cache: &Path) -> Result<Self, Error> {
        let dir = cache.join("debs");
        fs::create_dir_all(&dir).map_err(io_at("create", &dir))?;
        Ok(Self { dir })
    }

    /// Where a package is, or would be.
    pub(crate) fn path(&self, package: &Package) -> PathBuf {
        self.dir.join(file_name(package))
    }

    /// The index stanza of a package that is there.
    pub(super) fn stanza(&self, package: &Package) -> Option<Stanza> {
        let text = fs::read_to_string(self.stanza_path(package)).ok()?;
        Stanza::parse(&text).filter(|stanza| stanza.package().as_ref() == Some(package))
    }

    /// Downloads those of `packages`, which `entry` pins, that are not there.
    pub(crate) fn ensure(
        &self,
        debian: &Debian,
        arch: &'static str,
        entry: &Entry,
        packages: &[Package],
        context: &BuildContext,
    ) -> Result<(), Error> {
        let missing: Vec<Package> = packages
            .iter()
            .filter(|package| !self.is_sound(package))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let sources = archive::sources(debian, &entry.codename, context.interrupted)?;
        let apt = Apt::new(&context.cache_dir, arch, &sources, context.interrupted)?;
        let mut stanzas = apt.show(&missing)?;
        if stanzas.len() < missing.len() {
            apt.update()?;
            stanzas = apt.show(&missing)?;
        }
        if stanzas.len() < missing.len() {
            return Err(vanished(&missing, &stanzas));
        }
        self.fetch(&apt, &missing, &stanzas, context)
    }

    fn fetch(
        &self,
        apt: &Apt,
        missing: &[Package],
        stanzas: &[Stanza],
        context: &BuildContext,
    ) -> Result<(), Error> {
        let subject = match missing.len() {
            1 => "1 package".to_owned(),
            many => format!("{many} packages"),
        };
        context.progress.start(Phase::Download, &subject);
        let temp = tempfile::Builder::new()
            .prefix(".tmp-")
            .tempdir_in(&self.dir)
            .map_err(io_at("create a directory in", &self.dir))?;
        apt.download(missing, temp.path(), context.progress)?;
        for stanza in stanzas {
            let package = stanza.package().expect("apt shows stanzas of packages");
            let path = self.stanza_path(&package);
            fs::write(&path, stanza.text()).map_err(io_at("write", &path))?;
            let target = self.path(&package);
            fs::rename(temp.path().join(file_name(&package)), &target)
                .map_err(io_at("write", &target))?;
        }
        Ok(())
    }

    /// Whether a package is there, whole and as its archive signed it.
    fn is_sound(&self, package: &Package) -> bool {
        let expected = self
            .stanza(package)
            .and_then(|stanza| stanza.field("SHA256").map(str::to_owned));
        let found = sha256(&self.path(package)).ok();
        expected.is_some() && expected == found
    }

    fn stanza_path(&self, package: &Package) -> PathBuf {
        self.dir.join(format!("{}.stanza", file_name(package)))
    }
}

/// The name that apt gives a downloaded package.
pub(super) fn file_name(package: &Package) -> String {
    let version = package.version.replace(':', "%3a");
    format!("{}_{version}_{}.deb", package.name, package.arch)
}

fn vanished(missing: &[Package], stanzas: &[Stanza]) -> Error {
    let found: Vec<Package> = stanzas.iter().filter_map(Stanza::package).collect();
    Error::Vanished {
        packages: missing
            .iter()
            .filter(|package| !found.contains(package))
            .map(Package::to_string)
            .collect(),
    }
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    let bytes = hasher.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_that_does_not_match_its_hash_is_not_used() {
        let temp = tempfile::tempdir().unwrap();
        let pool = Pool::new(temp.path()).unwrap();
        let package: Package = "x 1:2 all".parse().unwrap();
        let stanza = "Package: x\nVersion: 1:2\nArchitecture: all\nSHA256: \
                      2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n";
        fs::write(pool.stanza_path(&package), stanza).unwrap();
        assert!(!pool.is_sound(&package));
        fs::write(pool.path(&package), "x").unwrap();
        assert!(pool.is_sound(&package));
        fs::write(pool.path(&package), "y").unwrap();
        assert!(!pool.is_sound(&package));
    }
}
