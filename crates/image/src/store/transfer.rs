//! Entries that come from the store of another host, or go to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::tree::sync;
use super::{Staging, Store};
use crate::error::{Error, io_at};

/// An entry as it is told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    pub name: String,
    /// Names of the entries that must live as long as it.
    pub references: Vec<String>,
}

impl Store {
    /// These entries and all that they refer to, those first that others need.
    pub fn closure_of(&self, paths: &[PathBuf]) -> Vec<Carried> {
        let mut open: Vec<String> = paths
            .iter()
            .filter_map(|path| self.entry_of(path).map(str::to_owned))
            .collect();
        let mut found: Vec<Carried> = Vec::new();
        while let Some(name) = open.pop() {
            if found.iter().any(|carried| carried.name == name) {
                continue;
            }
            let text = fs::read_to_string(self.dir().join(".refs").join(&name));
            let references: Vec<String> = text
                .unwrap_or_default()
                .lines()
                .map(str::to_owned)
                .collect();
            open.extend(references.clone());
            found.push(Carried { name, references });
        }
        found.reverse();
        found
    }

    /// Whether an entry is there; from then on it is safe from collection until `self` is dropped.
    pub fn has(&self, name: &str) -> Result<bool, Error> {
        check(name)?;
        self.begin_session()?;
        Ok(self.dir().join(name).symlink_metadata().is_ok())
    }

    /// A directory in this store for what comes; it is deleted with what was not taken from it.
    pub fn receive(&self) -> Result<Staging, Error> {
        Staging::new(self.dir(), "received")
    }

    /// Takes an entry that lies in `from`, under its own name.
    pub fn take(
        &self,
        carried: &Carried,
        from: &Path,
        interrupted: &AtomicBool,
    ) -> Result<(), Error> {
        if self.has(&carried.name)? {
            return Ok(());
        }
        let _builder = self.lock_entry(&carried.name, interrupted)?;
        if self.has(&carried.name)? {
            return Ok(());
        }
        for reference in &carried.references {
            check(reference)?;
        }
        let (source, target) = (from.join(&carried.name), self.dir().join(&carried.name));
        let references: Vec<PathBuf> = carried
            .references
            .iter()
            .map(|name| self.dir().join(name))
            .collect();
        self.record_references(&carried.name, &references)?;
        sync(&source)?;
        rename_directory(&source, &target)?;
        sync(self.dir())
    }
}

/// A directory must be writable to be given another parent.
fn rename_directory(source: &Path, target: &Path) -> Result<(), Error> {
    let metadata = source.symlink_metadata().map_err(io_at("read", source))?;
    let rename = || fs::rename(source, target).map_err(io_at("install", target));
    if !metadata.is_dir() {
        return rename();
    }
    use std::os::unix::fs::PermissionsExt;
    let open = fs::Permissions::from_mode(0o700);
    fs::set_permissions(source, open).map_err(io_at("prepare", source))?;
    rename()?;
    fs::set_permissions(target, metadata.permissions()).map_err(io_at("protect", target))
}

/// Names of entries are a hash, a dash and a word; no path, and nothing of the store's own.
fn check(name: &str) -> Result<(), Error> {
    let right = name.len() <= 255
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b));
    match right {
        true => Ok(()),
        false => Err(Error::Guest(format!(
            "`{}` is no name of a store entry",
            name.escape_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Digest, Seal};
    use super::*;

    #[test]
    fn a_closure_goes_from_one_store_to_another() {
        let temp = tempfile::tempdir().unwrap();
        let store = |name: &str| Store::open(&temp.path().join(name)).unwrap();
        let (here, there) = (store("here"), store("there"));
        let go_on = AtomicBool::new(false);
        let add = |name: &str, references: &[PathBuf]| {
            let digest = Digest::of(name).finish();
            here.add(name, &digest, references, &go_on, |staging| {
                fs::create_dir(staging.out()).unwrap();
                fs::write(staging.out().join("file"), name).unwrap();
                Ok(Seal::ReadOnly)
            })
            .unwrap()
        };
        let kernel = add("kernel", &[]);
        let runner = add("runner", std::slice::from_ref(&kernel));
        add("other", &[]);
        let closure = here.closure_of(std::slice::from_ref(&runner));
        let names: Vec<&str> = closure
            .iter()
            .map(|carried| carried.name.as_str())
            .collect();
        let name_of = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(names, [name_of(&kernel), name_of(&runner)]);

        let staging = there.receive().unwrap();
        let from = staging.scratch("in");
        let copy = std::process::Command::new("cp")
            .args(["--archive", "--no-target-directory"])
            .args([here.dir(), &from])
            .status();
        assert!(copy.unwrap().success());
        for carried in &closure {
            assert!(!there.has(&carried.name).unwrap());
            there.take(carried, &from, &go_on).unwrap();
            there.take(carried, &from, &go_on).unwrap();
            assert!(there.has(&carried.name).unwrap());
        }
        drop(staging);
        assert_eq!(
            there.closure_of(&[there.dir().join(name_of(&runner))]),
            closure
        );
        let file = there.dir().join(name_of(&runner)).join("file");
        assert_eq!(fs::read_to_string(file).unwrap(), "runner");
    }

    #[test]
    fn hostile_names_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(&temp.path().join("store")).unwrap();
        for name in ["../x", ".locks", "", "a/b", "-rf", "a\nb"] {
            assert!(store.has(name).is_err(), "{name}");
        }
    }
}
