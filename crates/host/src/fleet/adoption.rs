//! What MicroVM.nix's host module had its user `microvm` make in directories of VMs. Root follows
//! nothing of that user's, so it becomes root's own, when that is said: links into Nix's store, and
//! the source. All else stays as it is, and is refused.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use spec::names::VmName;

use super::accepted::one_line;
use super::member::{self, MANAGED};
use super::{Error, Fleet, files};

const STORE: &str = "/nix/store";

/// Those that lead to packages, or to a system.
const LINKS: [&str; 4] = ["current", "booted", "old", MANAGED];

const SOURCE: &str = "flake";

/// What is, or was, taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    pub path: PathBuf,
    /// Number of the user who made it.
    pub uid: u32,
    /// Where it leads, or what it says.
    pub says: String,
}

impl Fleet {
    /// What of all VMs root could take over.
    pub fn adoptable(&self) -> Result<Vec<(VmName, Vec<Adopted>)>, Error> {
        let names = self.names()?.into_iter();
        let found = names.map(|name| {
            let all = adoptable(&self.dir_of(&name), Path::new(STORE));
            (name, all)
        });
        Ok(found.filter(|(_, all)| !all.is_empty()).collect())
    }

    /// Makes what a VM has of that user's root's own, its directory too, and gives it.
    pub fn adopt(&self, name: &VmName) -> Result<Vec<Adopted>, Error> {
        self.adopt_from(Path::new(STORE), name)
    }

    fn adopt_from(&self, store: &Path, name: &VmName) -> Result<Vec<Adopted>, Error> {
        let dir = self.dir_of(name);
        let found = adoptable(&dir, store);
        if found.is_empty() {
            return Ok(found);
        }
        member::own_directory(&dir)?;
        let _guard = self.begin(name)?;
        // First: from here on nobody replaces what is root's.
        self.make_dir(&dir)?;
        for adopted in &found {
            match adopted.path.ends_with(SOURCE) {
                true => files::replace_file(&adopted.path, &format!("{}\n", adopted.says))?,
                false => files::replace_link(&adopted.path, Path::new(&adopted.says))?,
            }
        }
        Ok(found)
    }
}

fn adoptable(dir: &Path, store: &Path) -> Vec<Adopted> {
    let adopted = |name: &str| {
        let path = dir.join(name);
        let uid = fs::symlink_metadata(&path).ok()?.uid();
        let says = match name {
            SOURCE => source(&path)?,
            _ => target(&path, store)?,
        };
        files::is_untrusted(&path).then_some(Adopted { path, uid, says })
    };
    let names = LINKS.into_iter().chain([SOURCE]);
    names.filter_map(adopted).collect()
}

/// Of a link that leads to what is directly in the store, where nothing is ever changed.
fn target(link: &Path, store: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    let is_there = target.parent() == Some(store) && fs::symlink_metadata(&target).is_ok();
    is_there.then(|| target.to_str().map(str::to_owned))?
}

fn source(path: &Path) -> Option<String> {
    let mut options = fs::OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).ok()?;
    file.metadata().ok().filter(fs::Metadata::is_file)?;
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    one_line(text.trim_end()).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{lchown, symlink};

    use super::super::tests::{Bench, web};
    use super::*;

    const MICROVM: u32 = 998;

    fn of_microvm(path: &Path) {
        lchown(path, Some(MICROVM), None).unwrap();
    }

    #[test]
    fn links_into_the_store_and_the_source_become_roots() {
        if !crate::user::is_root() {
            println!("skipped: links_into_the_store_and_the_source_become_roots: not root");
            return;
        }
        let bench = Bench::new();
        let package = bench.package("one");
        let store = package.parent().unwrap();
        let dir = bench.fleet.dir_of(&web());
        fs::create_dir_all(&dir).unwrap();
        for link in ["current", "booted"] {
            symlink(&package, dir.join(link)).unwrap();
            of_microvm(&dir.join(link));
        }
        symlink("/etc", dir.join("old")).unwrap();
        fs::write(dir.join("flake"), "git+https://example.org/vms").unwrap();
        fs::write(dir.join("var.img"), "data").unwrap();
        for file in ["old", "flake", "var.img"] {
            of_microvm(&dir.join(file));
        }
        of_microvm(&dir);
        assert!(bench.fleet.member(&web()).is_err());

        let adopted = bench.fleet.adopt_from(store, &web()).unwrap();
        let names: Vec<_> = adopted
            .iter()
            .filter_map(|one| one.path.file_name())
            .collect();
        assert_eq!(names, ["current", "booted", "flake"]);
        assert!(bench.fleet.adopt_from(store, &web()).unwrap().is_empty());
        // What leads elsewhere is refused as before.
        let refused = bench.fleet.member(&web()).unwrap_err();
        assert!(matches!(refused, Error::Untrusted { path, .. } if path.ends_with("old")));
        fs::remove_file(dir.join("old")).unwrap();
        let member = bench.fleet.member(&web()).unwrap();
        assert_eq!(member.current.path(), package);
        assert_eq!(
            member.source.as_deref(),
            Some("git+https://example.org/vms")
        );
        assert_eq!(fs::metadata(dir.join("var.img")).unwrap().uid(), MICROVM);
    }
}
