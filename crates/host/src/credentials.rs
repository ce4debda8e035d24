//! Credentials as the disk that the guest reads them from, where its hypervisor has no other way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::kind::Kind;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The credential `{name}` cannot be read from `{}`", .file.display())]
    Read {
        name: String,
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("The option `credentialFiles` cannot be met")]
    Refused(#[from] guest_init::credentials::CredentialsError),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Read { source, .. } => Kind::of_io(source),
            Self::Refused(_) => Kind::Definition,
        }
    }
}

/// Names and contents.
pub fn read(files: &BTreeMap<String, PathBuf>) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let read = |(name, file): (&String, &PathBuf)| match std::fs::read(file) {
        Ok(content) => Ok((name.clone(), content)),
        Err(source) => Err(Error::Read {
            name: name.clone(),
            file: file.clone(),
            source,
        }),
    };
    files.iter().map(read).collect()
}

/// The image, in whole sectors.
pub fn disk(files: &BTreeMap<String, PathBuf>) -> Result<Vec<u8>, Error> {
    Ok(guest_init::credentials::render(&read(files)?)?)
}
