//! Store disks of Nix closures: made from the store as it lies there, no path of it is copied.
//!
//! mkfs.erofs takes one directory, so it is given the store itself, with everything that is not of
//! the closure left out; mksquashfs takes the paths. In the sandbox of a build little else is seen.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use spec::vm::StoreKind;

use crate::disk::{DiskMaker, KernelVersion};
use crate::error::{Error, io_at};

/// Together the arguments of a program may have 2 MiB, of which this is safe to use.
const ARGUMENTS: usize = 1_500_000;

/// Makes the disk of the paths that `list` names, one a line, all in one directory. `release` is
/// that of the guest's kernel, which decides how tight an image may be packed.
pub fn store_disk(
    list: &Path,
    kind: &StoreKind,
    release: Option<&str>,
    out: &Path,
    interrupted: &AtomicBool,
) -> Result<(), Error> {
    let version = release.and_then(KernelVersion::parse);
    let Some(maker) = DiskMaker::new(kind, version, interrupted)? else {
        return Err(Error::Guest(
            "`storeOnDisk` is false: there is no store disk to make".to_owned(),
        ));
    };
    let text = fs::read_to_string(list).map_err(io_at("read", list))?;
    let (store, names) = closure(&text).map_err(|line| {
        Error::Guest(format!(
            "`{}` is not the list of a closure: `{line}` is not in the directory of the paths \
             before it",
            list.display()
        ))
    })?;
    let mut others = others(&store, &names)?;
    // The image itself is there once it is being made.
    others.extend(out.file_name().map(OsString::from));
    let length: usize = others.iter().map(|name| name.len() + 20).sum();
    if length > ARGUMENTS {
        return Err(Error::Guest(format!(
            "`{}` has {} other paths, more than can be left out; build in Nix's sandbox \
             (`sandbox = true` in nix.conf), where only the closure is seen",
            store.display(),
            others.len()
        )));
    }
    let paths: Vec<PathBuf> = names.iter().map(|name| store.join(name)).collect();
    maker.make_of(&store, &paths, &others, out, interrupted)
}

/// The directory and the names in it.
fn closure(list: &str) -> Result<(PathBuf, BTreeSet<OsString>), String> {
    let mut directory: Option<&Path> = None;
    let mut names = BTreeSet::new();
    for line in list.lines().filter(|line| !line.is_empty()) {
        let path = Path::new(line);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(line.to_owned());
        };
        if **directory.get_or_insert(parent) != *parent || !path.is_absolute() {
            return Err(line.to_owned());
        }
        names.insert(name.to_owned());
    }
    let directory = directory.ok_or_else(String::new)?;
    Ok((directory.to_owned(), names))
}

/// What else is in the directory.
fn others(store: &Path, names: &BTreeSet<OsString>) -> Result<Vec<OsString>, Error> {
    let mut others = Vec::new();
    for child in fs::read_dir(store).map_err(io_at("read", store))? {
        let name = child.map_err(io_at("read", store))?.file_name();
        if !names.contains(&name) {
            others.push(name);
        }
    }
    others.sort_unstable();
    Ok(others)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn paths_of_other_directories_are_refused() {
        let (store, names) = closure("/nix/store/b\n/nix/store/a\n").unwrap();
        assert_eq!(store, Path::new("/nix/store"));
        assert_eq!(names.len(), 2);
        for list in ["", "/nix/store/a\n/srv/b\n", "store/a\n", "/\n"] {
            assert!(closure(list).is_err(), "{list}");
        }
    }

    /// Reads the names back from the image itself.
    #[test]
    fn disk_has_the_closure_alone() {
        if Command::new("mkfs.erofs").arg("-V").output().is_err() {
            println!("skipped: `mkfs.erofs` is not installed");
            return;
        }
        let temp = tempfile::tempdir().unwrap();
        let store = temp.path().join("store");
        for name in ["aaaa-in", "bbbb-in", "secret"] {
            fs::create_dir_all(store.join(name)).unwrap();
            fs::write(store.join(name).join("what"), format!("marker of {name}")).unwrap();
        }
        let list = temp.path().join("list");
        let lines = ["bbbb-in", "aaaa-in"].map(|name| format!("{}\n", store.join(name).display()));
        fs::write(&list, lines.concat()).unwrap();
        let out = store.join("the-disk");
        let kind = StoreKind::Erofs {
            flags: Some(Vec::new()),
        };
        store_disk(&list, &kind, None, &out, &AtomicBool::new(false)).unwrap();
        let image = fs::read(&out).unwrap();
        let has = |text: &str| {
            image
                .windows(text.len())
                .any(|bytes| bytes == text.as_bytes())
        };
        assert!(has("aaaa-in") && has("marker of bbbb-in"));
        assert!(!has("secret") && !has("the-disk"));
    }
}
