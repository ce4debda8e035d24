//! The `directory` guest source: a root tree of the user's own, which is never changed.
//!
//! It is known by its content. Reading all of it takes a while, so the digest is kept in the
//! cache under that of its metadata (names, inodes, sizes, modes, times of change): a change that
//! leaves even the time of the inode's change as it was would go unseen, which takes writing to
//! the disk behind the file system's back.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::context::BuildContext;
use crate::error::{Error, io_at};
use crate::store::{Digest, DigestBuilder};

/// Digest of a file or a tree by content, as hex.
pub(crate) fn content_digest(path: &Path, context: &BuildContext) -> Result<String, Error> {
    digest(path, context, false)
}

/// As [`content_digest`]; refuses a tree that this user cannot build from.
pub(crate) fn tree_digest(path: &Path, context: &BuildContext) -> Result<String, Error> {
    digest(path, context, !nix::unistd::geteuid().is_root())
}

fn digest(path: &Path, context: &BuildContext, refuse_root: bool) -> Result<String, Error> {
    let mut metadata = Digest::of("metadata");
    let mut files = Vec::new();
    walk(path, path, context, &mut |path, name, stat| {
        if refuse_root && (stat.uid() == 0 || stat.gid() == 0) {
            return Err(of_root(path));
        }
        metadata = fold(metadata.clone(), name, stat)
            .field("inode", format!("{} {}", stat.dev(), stat.ino()))
            .field("changed", format!("{} {}", stat.ctime(), stat.ctime_nsec()));
        files.push((path.to_owned(), name.to_owned()));
        Ok(())
    })?;
    let cached = context
        .cache_dir
        .join("trees")
        .join(metadata.finish().hex());
    if let Ok(digest) = fs::read_to_string(&cached) {
        return Ok(digest);
    }
    let digest = read_all(&files, context)?;
    remember(&cached, &digest);
    Ok(digest)
}

/// The kernel refuses to copy what belongs to nobody in the user namespace of the build.
fn of_root(path: &Path) -> Error {
    Error::Tree {
        tree: path.to_owned(),
        problem: "root as its owner or group: an ordinary user can build only from files of its \
                  own, which become root's in the guest"
            .into(),
    }
}

fn read_all(files: &[(PathBuf, PathBuf)], context: &BuildContext) -> Result<String, Error> {
    let mut content = Digest::of("content");
    for (path, name) in files {
        context.check_interrupted()?;
        let stat = path.symlink_metadata().map_err(io_at("read", path))?;
        content = fold(content, name, &stat);
        if stat.is_file() {
            content = content.field("content", hash_file(path).map_err(io_at("read", path))?);
        } else if stat.is_symlink() {
            let target = fs::read_link(path).map_err(io_at("read", path))?;
            content = content.field("target", target.as_os_str().as_bytes());
        }
        content = attributes(content, path);
    }
    Ok(content.finish().hex())
}

/// What both digests have: name, type and mode, owner, size, device number.
fn fold(digest: DigestBuilder, name: &Path, stat: &fs::Metadata) -> DigestBuilder {
    let size = if stat.is_dir() { 0 } else { stat.size() };
    digest.field("name", name.as_os_str().as_bytes()).field(
        "stat",
        format!(
            "{:o} {} {} {size} {}",
            stat.permissions().mode(),
            stat.uid(),
            stat.gid(),
            stat.rdev()
        ),
    )
}

/// Extended attributes, such as file capabilities; a change of them changes the inode's time.
fn attributes(mut digest: DigestBuilder, path: &Path) -> DigestBuilder {
    let Ok(names) = xattr::list(path) else {
        return digest;
    };
    let mut names: Vec<_> = names.collect();
    names.sort();
    for name in names {
        if let Ok(Some(value)) = xattr::get(path, &name) {
            digest = digest
                .field("attribute", name.as_bytes())
                .field("value", value);
        }
    }
    digest
}

/// Visits a tree in the order of names, its root first.
fn walk(
    base: &Path,
    path: &Path,
    context: &BuildContext,
    visit: &mut dyn FnMut(&Path, &Path, &fs::Metadata) -> Result<(), Error>,
) -> Result<(), Error> {
    context.check_interrupted()?;
    let stat = path.symlink_metadata().map_err(io_at("read", path))?;
    visit(path, path.strip_prefix(base).unwrap_or(path), &stat)?;
    if !stat.is_dir() {
        return Ok(());
    }
    let children: io::Result<Vec<_>> =
        fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut children = children.map_err(io_at("read", path))?;
    children.sort();
    for child in children {
        walk(base, &child, context, visit)?;
    }
    Ok(())
}

fn hash_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().to_vec())
}

/// The cache is a convenience: what cannot be written there is computed again.
fn remember(path: &Path, digest: &str) {
    let Some(dir) = path.parent() else { return };
    let written = fs::create_dir_all(dir).and_then(|()| {
        let temp = tempfile::NamedTempFile::new_in(dir)?;
        fs::write(temp.path(), digest)?;
        temp.persist(path)?;
        Ok(())
    });
    if let Err(error) = written {
        tracing::debug!(%error, "the digest of a tree is not kept");
    }
}
