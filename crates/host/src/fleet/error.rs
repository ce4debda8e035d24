//! Why a VM of the state directory cannot be found or changed.

use std::path::{Path, PathBuf};

use super::Verb;
use crate::kind::Kind;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{}` is no name of a VM; accepted are {accepted}", shown(.name))]
    Name {
        name: String,
        accepted: &'static str,
    },
    #[error("`{name}` is not installed in `{}`", .dir.display())]
    NotInstalled { name: String, dir: PathBuf },
    #[error("`{name}` is installed already, in `{}`", .dir.display())]
    Installed { name: String, dir: PathBuf },
    #[error("`{}` is a link; a VM's directory is none, so nothing was followed or changed", .path.display())]
    Link { path: PathBuf },
    #[error("`{}` is not {wanted}; nothing was changed", .path.display())]
    Foreign { path: PathBuf, wanted: &'static str },
    #[error("`{}` belongs to user {uid}, neither to root nor to you; it is not trusted", .path.display())]
    Untrusted { path: PathBuf, uid: u32 },
    #[error("`{}` is not a runner package: it has no `bin/microvm-run`", .path.display())]
    NotAPackage { path: PathBuf },
    #[error("`{name}` has no version before this one")]
    NothingBefore { name: String },
    #[error("The version before this one of `{name}`, `{}`, is gone", .path.display())]
    BeforeIsGone { name: String, path: PathBuf },
    #[error("`{name}` runs")]
    Running { name: String },
    #[error("Another command has been changing `{name}` for {seconds} s")]
    Locked { name: String, seconds: u64 },
    #[error("`{}` is a mount point; what is mounted there is not removed", .path.display())]
    MountPoint { path: PathBuf },
    #[error("The record of {} of `{name}`, `{}`, cannot be read", .verb.map_or("a change", Verb::noun), .path.display())]
    Record {
        name: String,
        verb: Option<Verb>,
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("`{source_text}` cannot be kept as a source: it has a line break")]
    SourceText { source_text: String },
    #[error("Cannot {action} `{}`", .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Without what would move a terminal, and not too long.
fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown = String::new();
    for (number, char) in text.chars().enumerate() {
        match char {
            _ if number == LONGEST => return shown + "…",
            char if char.is_control() => shown.extend(char.escape_default()),
            char => shown.push(char),
        }
    }
    shown
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Name { .. } | Self::SourceText { .. } => Kind::Usage,
            Self::NotInstalled { .. }
            | Self::NotAPackage { .. }
            | Self::NothingBefore { .. }
            | Self::BeforeIsGone { .. } => Kind::NotFound,
            Self::Installed { .. }
            | Self::Running { .. }
            | Self::Locked { .. }
            | Self::MountPoint { .. } => Kind::Busy,
            Self::Link { .. } | Self::Foreign { .. } | Self::Untrusted { .. } => Kind::Definition,
            Self::Record { .. } => Kind::Storage,
            Self::Io { source, .. } => Kind::of_io(source),
        }
    }
}
