//! Why a build failed, and which of the documented exit codes that is.

use std::io;
use std::path::{Path, PathBuf};

use spec::vm::Arch;

/// Everything that stops a build.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Program `{program}` is not installed; Debian has it in the package `{package}`")]
    MissingProgram {
        program: String,
        package: &'static str,
    },
    #[error(
        "Program `{program}` {found} is too old for `{wanted}`, which needs {needed} or newer \
         (Debian's package is `{package}`)"
    )]
    TooOld {
        program: &'static str,
        found: String,
        wanted: String,
        needed: &'static str,
        package: &'static str,
    },
    #[error(
        "User `{user}` has no subordinate user and group ids, which an unprivileged build needs; \
         give it some: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}`"
    )]
    NoSubordinateIds { user: String },
    #[error("{what} needs root: {why}")]
    NeedsRoot {
        what: &'static str,
        why: &'static str,
    },
    #[error(
        "This host cannot run programs of {arch}, which building this guest needs: Debian's package \
         `qemu-user-static` emulates them, once root has registered it with the kernel \
         (`systemctl restart systemd-binfmt`; a container has this from its host)"
    )]
    NoEmulation { arch: Arch },
    #[error(
        "This `microvm` was built without the initrd of guests of {arch}: \
         `rustup target add {arch}-unknown-linux-musl`, then build it again"
    )]
    NoGuestInit { arch: Arch },
    #[error("`{program}` failed: {reason}")]
    Failed { program: String, reason: String },
    #[error("Archive `{url}` cannot be used: {reason}")]
    Archive { url: String, reason: String },
    #[error(
        "The apt configuration of this host names no Debian archive; \
         set `guest.debian.mirror` to the URL of one"
    )]
    NoArchive,
    #[error("Mirror `{0}` is not a URL that apt takes, such as `https://HOST/debian`")]
    BadMirror(String),
    #[error("Debian `{suite}` has no package {}", quoted(.names))]
    UnknownPackages { suite: String, names: Vec<String> },
    #[error(
        "The archive no longer has these versions that `microvm.lock` names: {}; \
         `microvm build --update` takes what it has now",
        quoted(.packages)
    )]
    Vanished { packages: Vec<String> },
    #[error("Guest: {0}")]
    Guest(String),
    /// What went wrong in the hook, in its words.
    #[error("{message}")]
    Hook { kind: Kind, message: String },
    #[error("Guest tree `{tree}` has {problem}")]
    Tree { tree: PathBuf, problem: String },
    #[error("Container image `{image}` {problem}")]
    Image { image: String, problem: String },
    #[error("Kernel `{path}` {problem}")]
    Kernel {
        path: PathBuf,
        problem: &'static str,
    },
    #[error("Kernel `{path}` cannot be made ready for {hypervisor} on {arch}")]
    Vmlinux {
        path: PathBuf,
        hypervisor: spec::vm::Hypervisor,
        arch: spec::vm::Arch,
        #[source]
        source: crate::vmlinux::VmlinuxError,
    },
    #[error("Option `{option}` must be set for a guest that is not built here")]
    NotGiven { option: &'static str },
    #[error(
        "Flag `{flag}` of `storeDiskSquashfsFlags` is not one of `-c`, `-b`, `-j` or `-X` with its value"
    )]
    SquashfsFlag { flag: String },
    #[error("`{path}` is not a lock file that this version reads")]
    LockFile {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("The initrd could not be made")]
    Initrd(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("The file system of `{place}` is full")]
    NoSpace { place: PathBuf },
    #[error("Cannot {action} `{path}`")]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("Interrupted")]
    Interrupted,
}

/// The causes as the exit codes of the command line tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// The definition asks for what cannot be built.
    Definition,
    /// A program, a device or a permission is missing or too old.
    Missing,
    Build,
    Storage,
    Interrupted,
}

impl Error {
    /// Which kind of failure it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::MissingProgram { .. }
            | Self::TooOld { .. }
            | Self::NoSubordinateIds { .. }
            | Self::NeedsRoot { .. }
            | Self::NoEmulation { .. }
            | Self::NoGuestInit { .. }
            | Self::NoArchive => Kind::Missing,
            Self::BadMirror(_)
            | Self::UnknownPackages { .. }
            | Self::NotGiven { .. }
            | Self::SquashfsFlag { .. }
            | Self::Kernel { .. }
            | Self::Vmlinux { .. }
            | Self::Tree { .. }
            | Self::Image { .. }
            | Self::LockFile { .. } => Kind::Definition,
            Self::Failed { .. }
            | Self::Archive { .. }
            | Self::Vanished { .. }
            | Self::Guest(_)
            | Self::Initrd(_) => Kind::Build,
            Self::Hook { kind, .. } => *kind,
            Self::NoSpace { .. } | Self::Io { .. } => Kind::Storage,
            Self::Interrupted => Kind::Interrupted,
        }
    }
}

/// Turns an I/O error into one that names the file; a full disk is told apart.
pub(crate) fn io_at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoSpace {
            place: path.parent().unwrap_or(path).to_owned(),
        },
        _ => Error::Io {
            action,
            path: path.to_owned(),
            source,
        },
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disk_is_told_apart_from_other_io_errors() {
        let full = io_at("write", Path::new("/store/x"))(io::Error::from_raw_os_error(28));
        assert_eq!(full.to_string(), "The file system of `/store` is full");
        assert_eq!(full.kind(), Kind::Storage);
    }

    #[test]
    fn vanished_packages_are_named_with_the_next_step() {
        let error = Error::Vanished {
            packages: vec!["bash 5.1 amd64".into(), "dash 0.5 amd64".into()],
        };
        assert_eq!(
            error.to_string(),
            "The archive no longer has these versions that `microvm.lock` names: \
             `bash 5.1 amd64`, `dash 0.5 amd64`; `microvm build --update` takes what it has now"
        );
    }
}
