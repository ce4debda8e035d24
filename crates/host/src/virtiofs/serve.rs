//! The daemon built in: serves one share over a socket it was given, in a process of its own.
//!
//! It is started with the listening socket as stdin and a connection to its parent as stdout.
//! On that it says `ready`, or why it is not; when the parent closes it, the daemon ends.

mod caps;
mod identity;
mod log_lines;
mod part;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use spec::vm::{Access, InodeFileHandles, ShareCache};
use vhost::vhost_user::Listener;
use vhost_user_backend::{Error as DaemonError, VhostUserDaemon};
use virtiofsd::filesystem::{FileSystem, SerializableFileSystem};
use virtiofsd::limits;
use virtiofsd::passthrough::read_only::PassthroughFsRo;
use virtiofsd::passthrough::{
    CachePolicy, Config, InodeFileHandlesMode, NegotiationMode, PassthroughFs,
};
use virtiofsd::sandbox::{Sandbox, SandboxMode};
use virtiofsd::seccomp::{SeccompAction, enable_seccomp};
use virtiofsd::vhost_user::VhostUserFsBackendBuilder;
use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};

use super::Served;
use super::extra::{self, Extra};
use crate::user;

/// What the daemon says when it accepts connections.
pub const READY: &str = "ready";

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("its options are not those that `microvm` gives: {0}")]
    Options(#[from] serde_json::Error),
    #[error("{0}")]
    Extra(#[from] super::Error),
    #[error("its descriptors cannot be used: {0}")]
    Descriptors(#[from] std::io::Error),
    #[error("only what `{}` names cannot be shown, which needs root: {reason}", .list.display())]
    Part { list: PathBuf, reason: String },
    #[error("the source is not UTF-8")]
    SourceName,
    #[error("the number of open files cannot be raised: {0}")]
    Files(String),
    #[error("{files} open files are too few; it needs more than {reserve} for itself")]
    TooFewFiles { files: u64, reserve: u64 },
    #[error(
        "the sandbox cannot be entered: {reason}; where namespaces are forbidden, set `virtiofsd.extraArgs = [\"--sandbox=none\"]`"
    )]
    Sandbox { reason: String },
    #[error("the system call filter cannot be loaded: {0}")]
    Seccomp(String),
    #[error("capabilities cannot be dropped: {0}")]
    Capabilities(String),
    #[error("the files cannot be served: {0}")]
    Backend(String),
}

/// Entry of the process: serves until the hypervisor or the parent leaves. `options` is a
/// [`Served`] as JSON.
pub fn serve_main(options: &str) -> ExitCode {
    let Ok(parent) = std::io::stdout().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    // Of a file, for a write to a socket is sendto(2), which the system call filter forbids.
    let parent = File::from(parent);
    match serve(options, &parent) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(&parent, "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &str, parent: &File) -> Result<(), Error> {
    let share: Served = serde_json::from_str(options)?;
    let extra = extra::parse(&share)?;
    log_lines::install(&share.tag, extra.log_level);
    let listener = UnixListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let threads = extra.thread_pool_size.unwrap_or(share.threads);
    let guest_fd_limit = raise_limit(extra.rlimit_nofile, threads)?;
    if let Some(list) = &share.only {
        part::narrow(&share.source, list).map_err(|error| Error::Part {
            list: list.clone(),
            reason: error.to_string(),
        })?;
    }
    let source = share.source.to_str().ok_or(Error::SourceName)?.to_owned();
    let (uid_map, gid_map) = identity::maps(&extra, &share.source);
    let ordinary = !user::is_root();
    let mut sandbox = Sandbox::new(source, extra.sandbox, uid_map, gid_map);
    let mountinfo_prefix = sandbox.get_mountinfo_prefix()?;
    // Forks: from here on this is the process inside.
    let sandboxed = sandbox
        .enter(Listener::from(listener))
        .map_err(|error| Error::Sandbox {
            reason: error.to_string(),
        })?;
    die_with_the_process_outside(extra.sandbox)?;
    end_with(parent.try_clone()?)?;
    let config = Config {
        mountinfo_prefix,
        root_dir: sandbox.get_root_dir(),
        proc_sfd_rawfd: sandbox.get_proc_self_fd(),
        proc_mountinfo_rawfd: sandbox.get_mountinfo_fd(),
        guest_fd_limit,
        ..config(&share, &extra, ordinary)
    };
    let read_only = extra.readonly || share.access == Access::ReadOnly;
    restrict(&extra, config.inode_file_handles)?;
    let backend = |error: std::io::Error| Error::Backend(error.to_string());
    // crosvm asks the daemon for the tag; other hypervisors know it.
    let builder = VhostUserFsBackendBuilder::default()
        .set_thread_pool_size(threads)
        .set_tag(Some(share.tag));
    if read_only {
        let files = PassthroughFsRo::new(config).map_err(backend)?;
        serve_files(builder, files, sandboxed, parent)
    } else {
        let files = PassthroughFs::new(config).map_err(backend)?;
        serve_files(builder, files, sandboxed, parent)
    }
}

/// Descriptors that the daemon needs for itself: one a memory region (vhost-user-backend has
/// 509 slots), some more, and one a thread.
fn raise_limit(asked: Option<u64>, threads: usize) -> Result<u64, Error> {
    const OWN: u64 = 509 + 100;
    let wanted = asked.unwrap_or_else(most_files);
    let files = limits::setup_rlimit_nofile(Some(wanted)).map_err(Error::Files)?;
    let reserve = OWN + threads.max(1) as u64;
    files
        .checked_sub(reserve)
        .filter(|left| *left > 0)
        .ok_or(Error::TooFewFiles { files, reserve })
}

/// As many open files as virtiofsd would ask for, or as this user may have.
fn most_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const MOST: u64 = 1_000_000;
    let more = Rlimit {
        current: Some(MOST),
        maximum: Some(MOST),
    };
    if setrlimit(Resource::Nofile, more).is_ok() {
        return MOST;
    }
    getrlimit(Resource::Nofile)
        .maximum
        .unwrap_or(MOST)
        .min(MOST)
}

/// As process 1 of its own namespace it would ignore SIGTERM, with which virtiofsd's fork ties
/// it to the process that waits outside.
fn die_with_the_process_outside(sandbox: SandboxMode) -> Result<(), Error> {
    if sandbox == SandboxMode::Namespace {
        let kill = nix::sys::signal::Signal::SIGKILL;
        nix::sys::prctl::set_pdeathsig(kill).map_err(std::io::Error::from)?;
    }
    Ok(())
}

/// Ends this process when the parent closes the connection, however it ended.
fn end_with(mut parent: File) -> Result<(), Error> {
    std::thread::Builder::new()
        .name("parent".into())
        .spawn(move || {
            let _ = parent.read(&mut [0]);
            std::process::exit(0);
        })?;
    Ok(())
}

fn config(share: &Served, extra: &Extra, ordinary: bool) -> Config {
    let cache_policy = extra.cache.clone().unwrap_or(match share.cache {
        ShareCache::Auto => CachePolicy::Auto,
        ShareCache::Always => CachePolicy::Always,
        ShareCache::Metadata => CachePolicy::Metadata,
        ShareCache::Never => CachePolicy::Never,
    });
    let timeout = valid_for(&cache_policy);
    let posix_acl = posix_acl(share, extra);
    Config {
        entry_timeout: timeout,
        attr_timeout: timeout,
        readdirplus: extra.readdirplus && !matches!(cache_policy, CachePolicy::Never),
        cache_policy,
        xattr: extra.xattr
            || extra.xattrmap.is_some()
            || posix_acl != NegotiationMode::Never
            || extra.security_label != NegotiationMode::Never,
        xattrmap: extra.xattrmap.clone(),
        announce_submounts: extra.announce_submounts,
        inode_file_handles: extra
            .inode_file_handles
            .unwrap_or_else(|| file_handles(share.inode_file_handles, ordinary)),
        writeback: extra.writeback,
        allow_direct_io: extra.allow_direct_io,
        killpriv_v2: extra.killpriv_v2,
        security_label: extra.security_label,
        posix_acl,
        clean_noatime: !extra.preserve_noatime,
        allow_mmap: extra.allow_mmap,
        uid_map: Some(extra.translate_uid.clone()),
        gid_map: Some(extra.translate_gid.clone()),
        ..Config::default()
    }
}

/// How long the guest may believe what it was told, as virtiofsd's own options have it.
fn valid_for(cache: &CachePolicy) -> Duration {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    match cache {
        CachePolicy::Never => Duration::ZERO,
        CachePolicy::Auto => Duration::from_secs(1),
        CachePolicy::Metadata | CachePolicy::Always => DAY,
    }
}

/// Translated ids would make ACLs name the wrong users.
fn posix_acl(share: &Served, extra: &Extra) -> NegotiationMode {
    let translated = !extra.translate_uid.is_empty() || !extra.translate_gid.is_empty();
    let wanted = if share.posix_acl {
        NegotiationMode::Auto
    } else {
        NegotiationMode::Never
    };
    extra.posix_acl.unwrap_or(if translated {
        NegotiationMode::Never
    } else {
        wanted
    })
}

/// The kernel opens file handles for root of the first user namespace only.
fn file_handles(wanted: Option<InodeFileHandles>, ordinary: bool) -> InodeFileHandlesMode {
    match wanted {
        Some(InodeFileHandles::Prefer) if ordinary => InodeFileHandlesMode::Never,
        Some(InodeFileHandles::Prefer) => InodeFileHandlesMode::Prefer,
        Some(InodeFileHandles::Mandatory) => InodeFileHandlesMode::Mandatory,
        Some(InodeFileHandles::Never) | None => InodeFileHandlesMode::Never,
    }
}

fn restrict(extra: &Extra, handles: InodeFileHandlesMode) -> Result<(), Error> {
    // Before the threads of the pool exist, for a filter holds for its thread and those after.
    if !matches!(extra.seccomp, SeccompAction::Allow) {
        enable_seccomp(extra.seccomp, false).map_err(|error| Error::Seccomp(error.to_string()))?;
    }
    if user::is_root() {
        caps::keep_only_needed(&extra.modcaps, handles)?;
    }
    Ok(())
}

fn serve_files<F>(
    builder: VhostUserFsBackendBuilder,
    files: F,
    mut listener: Listener,
    mut parent: &File,
) -> Result<(), Error>
where
    F: FileSystem + SerializableFileSystem + Send + Sync + 'static,
{
    let failed = |error: &dyn std::fmt::Display| Error::Backend(error.to_string());
    let backend = Arc::new(builder.build(files).map_err(|error| failed(&error))?);
    let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
    let mut daemon =
        VhostUserDaemon::new("virtiofs".into(), backend, memory).map_err(|error| failed(&error))?;
    writeln!(parent, "{READY}")?;
    daemon
        .start(&mut listener)
        .map_err(|error| failed(&error))?;
    match daemon.wait() {
        Ok(()) | Err(DaemonError::HandleRequest(vhost::vhost_user::Error::Disconnected)) => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}
