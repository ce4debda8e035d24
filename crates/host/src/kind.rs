//! What sort of failure an error is, for exit codes.

/// The sorts that the program documents; see `docs/exit-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Other,
    /// A name or a value that was given is wrong.
    Usage,
    /// The definition asks for what cannot be.
    Definition,
    /// A file or a VM is not there.
    NotFound,
    /// A program, a device or a permission is missing, or a program is too old.
    Missing,
    /// Already running, a port is taken, a lock is held.
    Busy,
    /// No space, or the disk failed.
    Storage,
    Hypervisor,
    /// Ended by a signal before the guest ran.
    Interrupted,
}

impl Kind {
    /// The kind of an I/O error on a file of the user's.
    pub fn of_io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::PermissionDenied => Self::Missing,
            ErrorKind::AddrInUse | ErrorKind::ResourceBusy => Self::Busy,
            _ => Self::Storage,
        }
    }
}
