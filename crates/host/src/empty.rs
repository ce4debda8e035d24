//! The empty directory that a sandbox has as its root.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::kind::Kind;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{}`, the root of the sandbox, has something in it; choose an empty directory as `crosvm.pivotRoot`", .path.display())]
    NotEmpty { path: PathBuf },
    #[error("`{}`, the root of the sandbox, cannot be made", .path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotEmpty { .. } => Kind::Definition,
            Self::Io { source, .. } => Kind::of_io(source),
        }
    }
}

/// Makes a directory that nobody can write to, with those above it; one that is there is looked
/// at alone.
pub fn directory(path: &Path) -> Result<(), Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above).map_err(io)?;
    }
    match std::fs::DirBuilder::new().mode(0o555).create(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(error)),
    }
    let mut entries = std::fs::read_dir(path).map_err(io)?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Error::NotEmpty {
            path: path.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_directory_will_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/empty");
        directory(&path).unwrap();
        directory(&path).unwrap();
        let error = directory(dir.path()).unwrap_err();
        assert!(matches!(error, Error::NotEmpty { .. }), "{error}");
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = directory(&file).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
}
