//! Where this user's store, cache and configuration are.

use std::path::PathBuf;

/// Directories of the invoking user; none is created here.
pub struct Places {
    pub store: PathBuf,
    pub cache: PathBuf,
    pub config: PathBuf,
}

impl Places {
    /// `MICROVM_STORE`, `MICROVM_CACHE` and `MICROVM_CONFIG` override; root has system-wide
    /// directories, others those of the XDG base directory specification.
    pub fn of_this_user() -> Self {
        Self {
            store: place(
                "MICROVM_STORE",
                "/var/lib/microvm/store",
                "XDG_DATA_HOME",
                ".local/share",
                "microvm/store",
            ),
            cache: place(
                "MICROVM_CACHE",
                "/var/cache/microvm",
                "XDG_CACHE_HOME",
                ".cache",
                "microvm",
            ),
            config: place(
                "MICROVM_CONFIG",
                "/etc/microvm",
                "XDG_CONFIG_HOME",
                ".config",
                "microvm",
            ),
        }
    }
}

/// Where the VMs of this host are: `MICROVM_STATE_DIR`, else where the existing system has them.
pub fn state_dir() -> PathBuf {
    absolute("MICROVM_STATE_DIR").unwrap_or_else(|| "/var/lib/microvms".into())
}

fn place(own: &str, root: &str, xdg: &str, home: &str, below: &str) -> PathBuf {
    if let Some(dir) = absolute(own) {
        return dir;
    }
    if host::user::is_root() {
        return root.into();
    }
    let base = absolute(xdg).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/".into())).join(home)
    });
    base.join(below)
}

/// A directory from the environment; a relative one is taken from the current directory.
fn absolute(variable: &str) -> Option<PathBuf> {
    let value = std::env::var_os(variable).filter(|value| !value.is_empty())?;
    std::path::absolute(value).ok()
}
