//! What a container image runs, for a guest that boots: its own init, or its entrypoint below
//! guest-init.

use std::fs;
use std::path::Path;

use guest_init::entry::{Entry, FILE};
use serde::{Deserialize, Serialize};
use spec::guest::OciInit;

use super::accounts::Accounts;
use super::write;
use crate::error::Error;
use crate::oci::Config;

/// systemd, where it is not `/sbin/init` as well.
const SYSTEMD: [&str; 2] = ["usr/lib/systemd/systemd", "lib/systemd/systemd"];
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image's own words, and the definition's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Container {
    config: Config,
    init: OciInit,
}

impl Container {
    pub(crate) fn new(config: Config, init: OciInit) -> Self {
        Self { config, init }
    }

    /// Whether the image's own init is booted; the process is confined to the tree.
    pub(crate) fn boots_its_init(&self, root: &Path) -> Result<bool, Error> {
        match (self.init, has_init(root)) {
            (OciInit::Entrypoint, _) | (OciInit::Auto, false) => Ok(false),
            (OciInit::Auto | OciInit::Image, true) => Ok(true),
            (OciInit::Image, false) => Err(Error::Guest(
                "The image has no init: neither `/sbin/init` nor systemd".into(),
            )),
        }
    }

    /// Leaves in the tree what guest-init, or the kernel, is to start.
    pub(crate) fn place(&self, root: &Path, dhcp: bool) -> Result<(), Error> {
        if self.boots_its_init(root)? {
            return link_systemd(root);
        }
        let entry = self.entry(root, dhcp)?;
        let path = root.join(FILE.trim_start_matches('/'));
        write::replace(&path, entry.render().as_bytes(), 0o600)
    }

    fn entry(&self, root: &Path, dhcp: bool) -> Result<Entry, Error> {
        let command = self.config.command();
        if command.is_empty() {
            return Err(Error::Guest(
                "The image has neither an init nor an entrypoint, so there is nothing to run"
                    .into(),
            ));
        }
        let accounts = Accounts::load(root)?;
        let user = accounts.process(self.config.user())?;
        let mut environment = self.config.environment().to_vec();
        let home = format!("HOME={}", user.home);
        for (name, default) in [("PATH=", PATH), ("HOME=", home.as_str())] {
            if !environment
                .iter()
                .any(|variable| variable.starts_with(name))
            {
                environment.push(default.to_owned());
            }
        }
        Ok(Entry {
            command,
            environment,
            directory: self.config.directory().to_owned(),
            uid: user.uid,
            gid: user.gid,
            groups: user.groups,
            stop_signal: signal(self.config.stop_signal())?,
            dhcp,
        })
    }
}

/// busybox has an init that does nothing without its table, and links to it in every image.
fn has_init(root: &Path) -> bool {
    if SYSTEMD.iter().any(|systemd| root.join(systemd).exists()) {
        return true;
    }
    match root.join("sbin/init").canonicalize() {
        Ok(init) => {
            let is_busybox = init.file_name().is_some_and(|name| name == "busybox");
            !is_busybox || root.join("etc/inittab").exists()
        }
        Err(_) => false,
    }
}

fn link_systemd(root: &Path) -> Result<(), Error> {
    let init = root.join("sbin/init");
    if init.exists() {
        return Ok(());
    }
    let systemd = SYSTEMD.iter().find(|systemd| root.join(systemd).exists());
    match systemd {
        Some(systemd) => write::link(&init, &format!("/{systemd}")),
        None => Ok(()),
    }
}

/// The number of a signal on the architectures that guests have; SIGTERM where none is named.
fn signal(name: Option<&str>) -> Result<i32, Error> {
    const NAMES: [(&str, i32); 9] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("KILL", 9),
        ("USR1", 10),
        ("USR2", 12),
        ("TERM", 15),
        ("WINCH", 28),
        ("PWR", 30),
    ];
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(15);
    };
    let bare = name.strip_prefix("SIG").unwrap_or(name);
    let named = NAMES.iter().find(|(known, _)| *known == bare);
    let number = named
        .map(|(_, number)| *number)
        .or_else(|| match bare.strip_prefix("RTMIN+") {
            Some(offset) => offset.parse::<i32>().ok().map(|offset| 34 + offset),
            None => bare.parse().ok(),
        });
    number
        .filter(|number| (1..=64).contains(number))
        .ok_or_else(|| {
            Error::Guest(format!(
                "The image's stop signal `{}` is not known",
                name.escape_default()
            ))
        })
}

/// Whether a tree knows this user at all; one from scratch knows none.
pub(super) fn has_accounts(root: &Path) -> bool {
    fs::metadata(root.join("etc/passwd")).is_ok_and(|metadata| metadata.len() > 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(init: Option<&str>) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for dir in ["sbin", "bin", "etc", "usr/lib/systemd"] {
            fs::create_dir_all(tree.path().join(dir)).unwrap();
        }
        fs::write(tree.path().join("bin/busybox"), "").unwrap();
        if let Some(init) = init {
            symlink(init, tree.path().join("sbin/init")).unwrap();
        }
        tree
    }

    fn container(init: OciInit) -> Container {
        let text = r#"{"architecture": "amd64", "os": "linux", "config":
            {"Entrypoint": ["/app"], "User": "7:8", "StopSignal": "SIGQUIT"}}"#;
        Container::new(serde_json::from_str(text).unwrap(), init)
    }

    #[test]
    fn a_link_to_busybox_is_no_init() {
        let tree = tree(Some("../bin/busybox"));
        assert!(!has_init(tree.path()));
        fs::write(tree.path().join("etc/inittab"), "").unwrap();
        assert!(has_init(tree.path()));
    }

    #[test]
    fn systemd_is_linked_to_where_the_kernel_looks() {
        let tree = tree(None);
        fs::write(tree.path().join("usr/lib/systemd/systemd"), "").unwrap();
        container(OciInit::Auto).place(tree.path(), true).unwrap();
        let init = fs::read_link(tree.path().join("sbin/init")).unwrap();
        assert_eq!(init, Path::new("/usr/lib/systemd/systemd"));
        assert!(!tree.path().join("etc/microvm").exists());
    }

    #[test]
    fn without_an_init_the_entrypoint_is_run() {
        let tree = tree(None);
        container(OciInit::Auto).place(tree.path(), true).unwrap();
        let text = fs::read_to_string(tree.path().join("etc/microvm/entry")).unwrap();
        let entry = Entry::parse(&text).unwrap();
        assert_eq!(entry.command, ["/app"]);
        assert_eq!((entry.uid, entry.gid, entry.stop_signal), (7, 8, 3));
        assert_eq!(entry.environment, [PATH, "HOME=/"]);
        let error = container(OciInit::Image)
            .place(tree.path(), true)
            .unwrap_err();
        assert!(error.to_string().contains("no init"), "{error}");
    }

    #[rstest::rstest]
    #[case(None, Some(15))]
    #[case(Some("SIGWINCH"), Some(28))]
    #[case(Some("9"), Some(9))]
    #[case(Some("SIGRTMIN+3"), Some(37))]
    #[case(Some("SIGFOO"), None)]
    fn stop_signals(#[case] name: Option<&str>, #[case] number: Option<i32>) {
        assert_eq!(signal(name).ok(), number);
    }
}
