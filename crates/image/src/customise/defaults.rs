//! What every guest gets, and what those made from packages get beside.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::write;
use crate::error::Error;

/// Nothing of the machine that built the image, nor of the one that will run it: the boot sets the
/// host name. An empty machine-id, unlike a missing one, is not a first boot, which would reset
/// which units are enabled.
pub(super) fn identity(root: &Path) -> Result<(), Error> {
    let etc = root.join("etc");
    for (name, text) in [
        ("hostname", "localhost\n"),
        ("machine-id", ""),
        ("fstab", "# Mounts are made before this system starts.\n"),
    ] {
        write::replace(&etc.join(name), text.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// A tree that was made from packages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Debian {
    /// Text of `debian.sources`.
    pub(crate) sources: String,
    /// Packages, with their architecture, that are there only because others need them.
    pub(crate) automatic: Vec<(String, String)>,
}

const HOSTS: &str = "\
127.0.0.1\tlocalhost
::1\t\tlocalhost ip6-localhost ip6-loopback
ff02::1\t\tip6-allnodes
ff02::2\t\tip6-allrouters
";

impl Debian {
    /// Sets up apt, time zone, locale and host names.
    pub(super) fn apply(&self, root: &Path) -> Result<(), Error> {
        let apt = root.join("etc/apt");
        write::remove(&apt.join("sources.list"))?;
        for (path, text) in [
            (
                apt.join("sources.list.d/debian.sources"),
                self.sources.as_str(),
            ),
            (
                root.join("var/lib/apt/extended_states"),
                &self.extended_states(),
            ),
            (root.join("etc/hosts"), HOSTS),
            (root.join("etc/default/locale"), "LANG=C.UTF-8\n"),
            (root.join("etc/timezone"), "Etc/UTC\n"),
        ] {
            write::replace(&path, text.as_bytes(), 0o644)?;
        }
        write::link(&root.join("etc/localtime"), "/usr/share/zoneinfo/Etc/UTC")
    }

    /// So that `apt autoremove` in the guest knows what was not asked for.
    fn extended_states(&self) -> String {
        self.automatic
            .iter()
            .map(|(name, arch)| {
                format!("Package: {name}\nArchitecture: {arch}\nAuto-Installed: 1\n\n")
            })
            .collect()
    }
}
