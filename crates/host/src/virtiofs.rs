//! Serves directories of the host to guests: a daemon per share, built in or a program of the
//! user's.
//!
//! The parent makes and keeps the sockets, so they exist as soon as it says so, and no daemon
//! can leave one behind.

mod daemon;
mod extra;
mod notify;

mod run_all;
mod serve;
mod socket;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use backend::root_share;
use serde::{Deserialize, Serialize};
use spec::vm::{Access, InodeFileHandles, RootShare, ShareCache, ShareProto, Vm};

use crate::kind::Kind;
use crate::{program, socket as sockets};

pub use daemon::Daemons;
pub(crate) use notify::notify;
pub use run_all::run_all;
pub use serve::serve_main;

/// First argument of our own program when it is started to serve one share; the second is what
/// [`serve_main`] takes.
pub const SERVE_COMMAND: &str = "serve-share";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The directory `{}` of the share `{tag}` is not there; make it with `mkdir`", .source_dir.display())]
    NoSource { tag: String, source_dir: PathBuf },
    #[error("`{}` of the share `{tag}` is not a directory", .source_dir.display())]
    NotADirectory { tag: String, source_dir: PathBuf },
    #[error("The share `{tag}` has no files to serve")]
    NoRootTree { tag: String },
    #[error(
        "`{argument}` in `extraArgs` of the share `{tag}` is not for the daemon built in: {why}"
    )]
    ExtraArg {
        tag: String,
        argument: String,
        why: String,
    },
    #[error("`{}` has no executable `virtiofsd` in it, in `bin` or in `libexec`", .package.display())]
    EmptyPackage { package: PathBuf },
    #[error(transparent)]
    Socket(#[from] sockets::Error),
    #[error("The socket `{}` of the share `{tag}` cannot be made", .socket.display())]
    Listen {
        tag: String,
        socket: PathBuf,
        source: std::io::Error,
    },
    #[error("The group `{group}` of `virtiofsd.group` is not on this host")]
    NoGroup { group: String },
    #[error("The daemon of the share `{tag}` cannot be started")]
    Spawn { tag: String, source: std::io::Error },
    #[error("The daemon of the share `{tag}` failed: {said}")]
    Failed { tag: String, said: String },
    #[error("The daemon of the share `{tag}` gave no sign of life within {seconds} s")]
    Silent { tag: String, seconds: u64 },
    #[error("The daemon of the share `{tag}` ended ({status})")]
    Died { tag: String, status: ExitStatus },
    #[error("Signals cannot be received")]
    Signals(#[source] std::io::Error),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSource { .. } => Kind::NotFound,
            Self::NotADirectory { .. } | Self::ExtraArg { .. } | Self::NoRootTree { .. } => {
                Kind::Definition
            }
            Self::EmptyPackage { .. } | Self::NoGroup { .. } | Self::Spawn { .. } => Kind::Missing,
            Self::Socket(error) => error.kind(),
            Self::Listen { source, .. } => Kind::of_io(source),
            Self::Failed { .. } | Self::Silent { .. } | Self::Died { .. } | Self::Signals(_) => {
                Kind::Other
            }
        }
    }
}

/// One share as its daemon serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    pub tag: String,
    /// Absolute, or of the current directory.
    pub source: PathBuf,
    /// As for `source`.
    pub socket: PathBuf,
    /// File that names what is seen of the source, where that is not all.
    pub only: Option<PathBuf>,
    pub cache: ShareCache,
    pub posix_acl: bool,
    pub access: Access,
    pub inode_file_handles: Option<InodeFileHandles>,
    /// 0 serves without a pool.
    pub threads: usize,
    /// In the words of virtiofsd's own command line.
    pub extra_args: Vec<String>,
}

/// Who serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// Our own program, started with [`SERVE_COMMAND`].
    BuiltIn {
        program: PathBuf,
    },
    External {
        program: PathBuf,
    },
}

/// All shares of one VM, and how they are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    pub served: Vec<Served>,
    pub server: Server,
    /// Group that may connect to the sockets, where there is one and this user may give it.
    pub group: Option<String>,
}

impl Shares {
    /// The virtiofs shares of a VM. `own_program` is the `microvm` binary; `root_tree` is what
    /// the implicit share `store` serves, where the root comes from one.
    pub fn of(vm: &Vm, root_tree: Option<&Path>, own_program: &Path) -> Result<Self, Error> {
        let mut served = Vec::new();
        if root_share::proto(vm) == Some(RootShare::Virtiofs) {
            served.push(root_share(vm, root_tree)?);
        }
        served.extend(vm.shares.iter().filter_map(|share| declared(vm, share)));
        if !backend::package::has_daemons(vm) {
            served.clear();
        }
        let server = match &vm.virtiofsd.program {
            None => Server::BuiltIn {
                program: own_program.to_owned(),
            },
            Some(package) => Server::External {
                program: external(package)?,
            },
        };
        let shares = Self {
            served,
            server,
            group: vm.virtiofsd.group.clone(),
        };
        shares.check_extra_args()?;
        Ok(shares)
    }

    pub fn is_empty(&self) -> bool {
        self.served.is_empty()
    }

    fn check_extra_args(&self) -> Result<(), Error> {
        if let Server::External { .. } = self.server {
            return Ok(());
        }
        let parsed = self
            .served
            .iter()
            .map(|share| extra::parse(share).map(drop));
        parsed.collect()
    }
}

fn threads_of(vm: &Vm) -> usize {
    let asked = vm
        .virtiofsd
        .thread_pool_size
        .and_then(|size| usize::try_from(size).ok());
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

fn declared(vm: &Vm, share: &spec::vm::Share) -> Option<Served> {
    let ShareProto::Virtiofs {
        socket,
        cache,
        posix_acl,
        extra_args,
    } = &share.proto
    else {
        return None;
    };
    let extra_args = vm.virtiofsd.extra_args.iter().chain(extra_args);
    Some(Served {
        tag: share.tag.to_string(),
        source: share.source.clone(),
        socket: socket.clone(),
        only: vm
            .store
            .closure
            .clone()
            .filter(|_| share.source == Path::new("/nix/store")),
        cache: *cache,
        posix_acl: *posix_acl,
        access: share.access,
        inode_file_handles: vm.virtiofsd.inode_file_handles,
        threads: threads_of(vm),
        extra_args: extra_args.cloned().collect(),
    })
}

/// The store never changes, so the guest may cache all of it.
fn root_share(vm: &Vm, root_tree: Option<&Path>) -> Result<Served, Error> {
    let tag = root_share::TAG.to_owned();
    let Some(source) = root_tree else {
        return Err(Error::NoRootTree { tag });
    };
    Ok(Served {
        socket: root_share::socket(vm),
        tag,
        source: source.to_owned(),
        only: None,
        cache: ShareCache::Always,
        posix_acl: true,
        access: Access::ReadOnly,
        inode_file_handles: vm.virtiofsd.inode_file_handles,
        threads: threads_of(vm),
        extra_args: vm.virtiofsd.extra_args.clone(),
    })
}

fn external(package: &Path) -> Result<PathBuf, Error> {
    let inside = ["bin/virtiofsd", "libexec/virtiofsd", "virtiofsd"].map(|path| package.join(path));
    std::iter::once(package.to_owned())
        .chain(inside)
        .find(|path| program::is_executable(path))
        .ok_or_else(|| Error::EmptyPackage {
            package: package.to_owned(),
        })
}
