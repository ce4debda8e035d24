//! Keeps what a VM uses in a Nix store from Nix's garbage collector, where the host has one.

use std::path::{Path, PathBuf};

use spec::names::VmName;

use super::{Error, Fleet, files};

/// Where Nix looks for roots: a link to a link into its store keeps what that leads to.
const ROOTS: &str = "/nix/var/nix/gcroots";

/// The links of a VM that lead to packages.
pub(super) const LINKS: [&str; 3] = ["current", "booted", "old"];

impl Fleet {
    /// Roots the links of a VM. A link that is not there yet keeps nothing, and does no harm.
    pub fn keep_in_nix(&self, name: &VmName) -> Result<(), Error> {
        self.keep_below(Path::new(ROOTS), name)
    }

    fn keep_below(&self, roots: &Path, name: &VmName) -> Result<(), Error> {
        if !roots.is_dir() {
            return Ok(());
        }
        let dir = roots.join("microvm");
        files::make_directories(&dir)?;
        for link in LINKS {
            let target = self.dir_of(name).join(link);
            let root = dir.join(root_name(&target));
            if std::fs::read_link(&root).ok() != Some(target.clone()) {
                files::replace_link(&root, &target)?;
            }
        }
        Ok(())
    }

    /// Of a VM that is no more.
    pub(super) fn forget_in_nix(&self, name: &VmName) {
        for link in LINKS {
            let target = self.dir_of(name).join(link);
            let _ = std::fs::remove_file(Path::new(ROOTS).join("microvm").join(root_name(&target)));
        }
    }
}

/// One for each path, so that state directories do not get into each other's way.
fn root_name(path: &Path) -> PathBuf {
    path.display().to_string().replace('/', "%").into()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, web};

    #[test]
    fn each_link_is_rooted_once_and_only_where_there_is_a_store() {
        let bench = Bench::new();
        let roots = bench.root.path().join("gcroots");
        bench.fleet.keep_below(&roots, &web()).unwrap();
        assert!(!roots.exists());
        std::fs::create_dir(&roots).unwrap();
        for _ in 0..2 {
            bench.fleet.keep_below(&roots, &web()).unwrap();
        }
        let links: Vec<_> = std::fs::read_dir(roots.join("microvm"))
            .unwrap()
            .map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap())
            .collect();
        assert_eq!(links.len(), 3);
        assert!(links.contains(&bench.fleet.dir_of(&web()).join("current")));
    }
}
