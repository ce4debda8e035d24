//! Why a network cannot be brought up or changed.

use std::path::{Path, PathBuf};

use crate::kind::Kind;
use crate::{fleet, lock, program, service, tap};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("There is no network `{name}`{}", known_clause(.known))]
    Absent { name: String, known: Vec<String> },
    #[error(
        "There is an interface `{name}` already that is not a network of `microvm`; give the network another name"
    )]
    NotOurs { name: String },
    #[error(
        "The network `{name}` is down; `microvm network up {name}` brings it up, and says what is in the way"
    )]
    Down { name: String },
    #[error(
        "The network `{name}` has no address left; a shorter prefix in `addresses` gives it more"
    )]
    Full { name: String },
    #[error("The interface `{name}` cannot be changed; it takes root or CAP_NET_ADMIN")]
    Denied { name: String },
    #[error("Cannot {action} the interface `{name}`")]
    Interface {
        action: &'static str,
        name: String,
        source: std::io::Error,
    },
    #[error("nftables refuses the rules: {said}")]
    Rules { said: String },
    #[error("dnsmasq does not serve the network `{name}`: {said}")]
    Server { name: String, said: String },
    #[error("dnsmasq ended with {status}")]
    Ended { status: std::process::ExitStatus },
    #[error("The record `{}` cannot be read", .path.display())]
    Record {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("Another command has been changing networks for {seconds} s")]
    Locked { seconds: u64 },
    #[error("`{}` cannot be run", .program.display())]
    Run {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error("Cannot {action} `{}`", .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    NotInstalled(#[from] program::NotInstalled),
    #[error(transparent)]
    Files(#[from] fleet::Error),
    #[error(transparent)]
    Lock(lock::Error),
    #[error(transparent)]
    Service(service::Error),
    #[error(transparent)]
    Tap(tap::Error),
}

fn known_clause(known: &[String]) -> String {
    match known {
        [] => "; `[networks.NAME]` in `/etc/microvm/host.toml` declares one, and `microvm apply` \
               makes it"
            .to_owned(),
        known => format!("; there are `{}`", known.join("`, `")),
    }
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn interface(action: &'static str, name: &str, source: std::io::Error) -> Self {
        let name = name.to_owned();
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Denied { name },
            _ => Self::Interface {
                action,
                name,
                source,
            },
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Absent { .. } | Self::Down { .. } => Kind::NotFound,
            Self::NotOurs { .. } | Self::Locked { .. } => Kind::Busy,
            Self::Full { .. } => Kind::Definition,
            Self::Denied { .. } | Self::Run { .. } | Self::NotInstalled(_) => Kind::Missing,
            Self::Interface { .. }
            | Self::Rules { .. }
            | Self::Server { .. }
            | Self::Ended { .. }
            | Self::Record { .. } => Kind::Other,
            Self::Io { source, .. } => Kind::of_io(source),
            Self::Files(error) => error.kind(),
            Self::Lock(error) => error.kind(),
            Self::Service(error) => error.kind(),
            Self::Tap(error) => error.kind(),
        }
    }
}
