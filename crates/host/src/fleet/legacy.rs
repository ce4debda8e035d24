//! What version 0.1.0 copied into a VM's directory, and a runner package has now. Nothing is
//! touched that is not known to be such a copy.

use std::fs;
use std::path::{Path, PathBuf};

use spec::names::VmName;

use super::member::Version;
use super::{Error, Fleet, files};

/// Name in the VM's directory, and where a package has the same.
const COPIES: [(&str, &str); 4] = [
    ("microvm-run", "bin/microvm-run"),
    ("microvm-shutdown", "bin/microvm-shutdown"),
    ("tap-interfaces", "share/microvm/tap-interfaces"),
    ("virtiofs", VIRTIOFS),
];

/// A directory with one for each share.
const VIRTIOFS: &str = "share/microvm/virtiofs";

/// What a package of version 0.5.0 or before says that a VM needs, and what brings that up in those
/// since: hosts did it themselves then.
const HELPERS: [(&str, &str); 4] = [
    ("share/microvm/tap-interfaces", "bin/tap-up"),
    ("share/microvm/macvtap-interfaces", "bin/macvtap-up"),
    ("share/microvm/pci-devices", "bin/pci-setup"),
    (VIRTIOFS, "bin/virtiofsd-run"),
];

/// A copy in a VM's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    pub path: PathBuf,
    pub fate: Fate,
}

/// Whether a copy can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The package that `current` leads to has it.
    Replaced,
    /// There is no package: it is all that the VM has.
    NoPackage,
    /// The package does not have it.
    NotInPackage,
    /// It has the name of a copy, and is something else.
    Unknown,
}

impl Fleet {
    /// Copies in all directories of VMs, whether these are installed or not.
    pub fn leftovers(&self) -> Result<Vec<(VmName, Vec<Leftover>)>, Error> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| Error::io("read", &self.dir, source))?,
        };
        let directories = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let names = directories.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<VmName> = names
            .filter_map(|name| VmName::try_from(name).ok())
            .collect();
        names.sort();
        let found = names.into_iter().map(|name| {
            let leftovers = self.leftovers_of(&name)?;
            Ok((name, leftovers))
        });
        let found: Result<Vec<(VmName, Vec<Leftover>)>, Error> = found.collect();
        Ok(found?
            .into_iter()
            .filter(|(_, leftovers)| !leftovers.is_empty())
            .collect())
    }

    /// Removes the copies of one VM that its package has, and gives them.
    pub fn remove_leftovers(&self, name: &VmName) -> Result<Vec<PathBuf>, Error> {
        let _guard = self.begin(name)?;
        let leftovers = self.leftovers_of(name)?.into_iter();
        let replaced = leftovers.filter(|leftover| leftover.fate == Fate::Replaced);
        replaced
            .map(|leftover| {
                remove(&leftover.path)?;
                Ok(leftover.path)
            })
            .collect()
    }

    /// VMs whose packages leave to the host what those since do themselves, and what that is.
    pub fn without_helpers(&self) -> Result<Vec<(VmName, Vec<&'static str>)>, Error> {
        let names = self.names()?.into_iter();
        let found = names.map(|name| {
            let package = self.dir_of(&name).join("current");
            let lacks = |(says, helper): &(&str, &'static str)| {
                let lacks = package.join(says).exists() && !package.join(helper).exists();
                lacks.then_some(*helper)
            };
            (name, HELPERS.iter().filter_map(lacks).collect::<Vec<_>>())
        });
        Ok(found.filter(|(_, lacking)| !lacking.is_empty()).collect())
    }

    fn leftovers_of(&self, name: &VmName) -> Result<Vec<Leftover>, Error> {
        let package = match self.find(name)?.map(|member| member.current) {
            Some(Version::There(package)) => Some(package),
            Some(Version::Gone(_)) | None => None,
        };
        let dir = self.dir_of(name);
        let copies = COPIES.iter().filter_map(|(copy, inside)| {
            let path = dir.join(copy);
            fs::symlink_metadata(&path).ok()?;
            let fate = match &package {
                _ if !is_copy(&path, inside) => Fate::Unknown,
                None => Fate::NoPackage,
                Some(package) if package.join(inside).exists() => Fate::Replaced,
                Some(_) => Fate::NotInPackage,
            };
            Some(Leftover { path, fate })
        });
        Ok(copies.collect())
    }
}

/// A file; or, of shares, a directory that has nothing but `TAG/source` and `TAG/socket`.
fn is_copy(path: &Path, inside: &str) -> bool {
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file());
    let is_directory = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    if inside != VIRTIOFS {
        return is_file(path);
    }
    let inner = |path: &Path| -> Option<Vec<PathBuf>> {
        let entries = fs::read_dir(path).ok()?;
        entries.map(|entry| Some(entry.ok()?.path())).collect()
    };
    let is_part =
        |path: &PathBuf| is_file(path) && (path.ends_with("source") || path.ends_with("socket"));
    let is_share = |path: &PathBuf| {
        is_directory(path) && inner(path).is_some_and(|parts| parts.iter().all(is_part))
    };
    is_directory(path) && inner(path).is_some_and(|shares| shares.iter().all(is_share))
}

/// Only what [`is_copy`] knows: a directory that got something else meanwhile stays.
fn remove(path: &Path) -> Result<(), Error> {
    if !fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir()) {
        return files::delete(path);
    }
    let io = |source| Error::io("delete", path, source);
    for share in fs::read_dir(path).map_err(io)? {
        let share = share.map_err(io)?.path();
        files::delete(&share.join("source"))?;
        files::delete(&share.join("socket"))?;
        fs::remove_dir(&share).map_err(|source| Error::io("delete", &share, source))?;
    }
    fs::remove_dir(path).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, web};
    use super::*;

    /// A directory as 0.1.0 left it.
    fn old_layout(bench: &Bench) -> PathBuf {
        let dir = bench.fleet.dir_of(&web());
        fs::create_dir_all(dir.join("virtiofs/store")).unwrap();
        for file in [
            "microvm-run",
            "microvm-shutdown",
            "tap-interfaces",
            "virtiofs/store/source",
            "virtiofs/store/socket",
            "var.img",
        ] {
            fs::write(dir.join(file), "").unwrap();
        }
        dir
    }

    fn fates(bench: &Bench) -> Vec<Fate> {
        let found = bench.fleet.leftovers().unwrap();
        let all = found.iter().flat_map(|(_, leftovers)| leftovers);
        all.map(|leftover| leftover.fate).collect()
    }

    #[test]
    fn copies_go_once_the_package_has_them() {
        let bench = Bench::new();
        let dir = old_layout(&bench);
        assert_eq!(fates(&bench), [Fate::NoPackage; 4]);
        assert!(bench.fleet.remove_leftovers(&web()).unwrap().is_empty());
        let package = bench.package("one");
        bench.fleet.create(&web(), &package, None, false).unwrap();
        let kept = [
            Fate::Replaced,
            Fate::NotInPackage,
            Fate::NotInPackage,
            Fate::NotInPackage,
        ];
        assert_eq!(fates(&bench), kept);
        fs::create_dir_all(package.join(VIRTIOFS)).unwrap();
        let removed = bench.fleet.remove_leftovers(&web()).unwrap();
        assert_eq!(removed, [dir.join("microvm-run"), dir.join("virtiofs")]);
        assert_eq!(fates(&bench), [Fate::NotInPackage; 2]);
        assert!(dir.join("var.img").exists());
    }

    #[test]
    fn what_is_not_known_stays() {
        let bench = Bench::new();
        let dir = old_layout(&bench);
        let package = bench.package("one");
        fs::create_dir_all(package.join(VIRTIOFS)).unwrap();
        bench.fleet.create(&web(), &package, None, false).unwrap();
        fs::write(dir.join("virtiofs/store/data"), "").unwrap();
        fs::remove_file(dir.join("microvm-run")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.join("microvm-run")).unwrap();
        assert!(bench.fleet.remove_leftovers(&web()).unwrap().is_empty());
        assert!(dir.join("virtiofs/store/source").exists());
        assert!(dir.join("microvm-run").is_symlink());
    }
}
