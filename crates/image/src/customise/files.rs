//! Files that the definition puts into the guest.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use spec::guest::{FileContent, Guest};

use super::accounts::Accounts;
use super::write;
use crate::error::{Error, io_at};

/// A file, its content elsewhere: `length` bytes from `offset` of the file of contents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PlacedFile {
    pub(super) path: PathBuf,
    mode: u32,
    owner: String,
    sha256: String,
    offset: u64,
    length: u64,
}

/// Describes the files of a definition, their contents written to `contents` one after another.
pub(crate) fn gather(guest: &Guest, contents: &mut dyn Write) -> Result<Vec<PlacedFile>, Error> {
    let mut offset = 0;
    let mut files = Vec::new();
    for (path, file) in &guest.files {
        let mut hashing = Hashing {
            inner: contents,
            hasher: Sha256::new(),
        };
        let length = match &file.content {
            FileContent::Text(text) => io::copy(&mut text.as_bytes(), &mut hashing),
            FileContent::Source(source) => {
                let mut file = File::open(source).map_err(io_at("read", source))?;
                io::copy(&mut file, &mut hashing)
            }
        };
        let length = length.map_err(io_at("copy", path))?;
        let hash = hashing.hasher.finalize();
        files.push(PlacedFile {
            path: path.clone(),
            mode: file.mode,
            owner: file.owner.clone(),
            sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            offset,
            length,
        });
        offset += length;
    }
    Ok(files)
}

/// Puts the files into the tree.
pub(super) fn place(
    root: &Path,
    files: &[PlacedFile],
    contents: &File,
    accounts: &Accounts,
) -> Result<(), Error> {
    for file in files {
        let path = root.join(inside(&file.path)?);
        let (uid, gid) = accounts.owner(&file.owner)?;
        let missing = missing_directories(&path);
        let mut content = Slice {
            file: contents,
            at: file.offset,
            end: file.offset + file.length,
        };
        write::replace_from(&path, &mut content, file.mode & 0o7777)?;
        // A change of owner takes the set-user-id bits away.
        write::own(&path, uid, gid)?;
        write::mode(&path, file.mode & 0o7777)?;
        if is_home_of(&file.path, &file.owner, accounts) {
            for dir in missing {
                write::own(&dir, uid, gid)?;
            }
        }
    }
    Ok(())
}

/// The path without its root; `..` would leave the tree where nothing confines the process.
fn inside(path: &Path) -> Result<PathBuf, Error> {
    let mut inner = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => inner.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(Error::Guest(format!(
                    "File `{}` must be an absolute path without `..`",
                    path.display()
                )));
            }
        }
    }
    Ok(inner)
}

/// Directories above `path` that are not there yet.
fn missing_directories(path: &Path) -> Vec<PathBuf> {
    path.ancestors()
        .skip(1)
        .take_while(|dir| !dir.exists())
        .map(Path::to_owned)
        .collect()
}

fn is_home_of(path: &Path, owner: &str, accounts: &Accounts) -> bool {
    let user = owner.split(':').next().unwrap_or_default();
    let identity = accounts.identity(user);
    identity.is_some_and(|identity| identity.uid != 0 && path.starts_with(identity.home))
}

struct Hashing<'a> {
    inner: &'a mut dyn Write,
    hasher: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Part of a file, read without moving its position, which other processes share.
struct Slice<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Slice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let read = self.file.read_at(&mut buffer[..wanted], self.at)?;
        if read == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}
