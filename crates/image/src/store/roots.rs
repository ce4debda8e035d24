//! What keeps entries alive: links in `roots` beside the store.
//!
//! A root is indirect: a link to a result link of the user's. When that is deleted, or leads
//! elsewhere, the root goes away by itself.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Digest, Store};
use crate::error::{Error, io_at};

/// Links that lead to links; the kernel stops at 40 as well.
const MAX_LINKS: usize = 40;

impl Store {
    /// Keeps alive whatever `link` leads to, for as long as it does; `link` may also be a path
    /// in the store.
    pub fn add_root(&self, link: &Path) -> Result<(), Error> {
        let link = std::path::absolute(link).map_err(io_at("find", link))?;
        let dir = self.roots_dir();
        fs::create_dir_all(&dir).map_err(io_at("create", &dir))?;
        let digest = Digest::of("root").field("link", link.as_os_str().as_encoded_bytes());
        let root = dir.join(digest.finish().name());
        match symlink(&link, &root) {
            // Named by its target: it is the same.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            done => done.map_err(io_at("create", &root)),
        }
    }

    /// Entries that roots lead to, and roots that lead to none.
    pub(super) fn read_roots(&self) -> Result<(Vec<String>, Vec<PathBuf>), Error> {
        let dir = self.roots_dir();
        let (mut live, mut dangling) = (Vec::new(), Vec::new());
        let roots = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((live, dangling)),
            roots => roots.map_err(io_at("read", &dir))?,
        };
        for root in roots {
            let root = root.map_err(io_at("read", &dir))?.path();
            match self.follow(&root) {
                Some(entry) => live.push(entry),
                None => dangling.push(root),
            }
        }
        Ok((live, dangling))
    }

    /// The first entry of this store that a chain of links passes.
    fn follow(&self, root: &Path) -> Option<String> {
        let mut at = root.to_owned();
        for _ in 0..MAX_LINKS {
            if let Some(entry) = self.entry_of(&at) {
                return self
                    .dir
                    .join(entry)
                    .symlink_metadata()
                    .ok()
                    .map(|_| entry.to_owned());
            }
            let target = fs::read_link(&at).ok()?;
            at = at.parent()?.join(target);
        }
        None
    }

    fn roots_dir(&self) -> PathBuf {
        let parent = self.dir.parent().unwrap_or(&self.dir);
        parent.join("roots")
    }
}
