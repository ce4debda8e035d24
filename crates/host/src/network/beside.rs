//! Has other programs that manage interfaces leave ours alone: systemd-networkd and
//! NetworkManager, by files of ours that are gone with the network, or with the host's next start.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Error;
use super::addresses::Given;
use super::definition::{Network, Taps};
use crate::fleet::files;
use crate::program;

/// Where `/run` is.
#[derive(Debug)]
pub struct Beside {
    pub run: PathBuf,
}

/// A program that manages interfaces.
struct Manager {
    /// There where it runs.
    sign: &'static str,
    /// Where it takes files from that last until the next start.
    dir: &'static str,
    file: fn(&str) -> String,
    text: fn(&[String]) -> String,
    /// Has it read them.
    reload: &'static [&'static str],
}

/// The numbers of files: before those of users, who seldom begin below 10.
const MANAGERS: [Manager; 2] = [
    Manager {
        sign: "systemd/netif/state",
        dir: "systemd/network",
        file: |name| format!("05-microvm-{name}.network"),
        text: networkd,
        reload: &["networkctl", "reload"],
    },
    Manager {
        sign: "NetworkManager",
        dir: "NetworkManager/conf.d",
        file: |name| format!("05-microvm-{name}.conf"),
        text: network_manager,
        reload: &["nmcli", "general", "reload", "conf"],
    },
];

fn networkd(interfaces: &[String]) -> String {
    format!(
        "[Match]\nName={}\n\n[Link]\nUnmanaged=yes\n",
        interfaces.join(" ")
    )
}

fn network_manager(interfaces: &[String]) -> String {
    let each: Vec<String> = interfaces
        .iter()
        .map(|name| format!("interface-name:{name}"))
        .collect();
    format!("[keyfile]\nunmanaged-devices+={}\n", each.join(";"))
}

impl Beside {
    /// Tells those that run.
    pub fn tell(&self, network: &Network, given: &[Given]) -> Result<(), Error> {
        let interfaces = interfaces(network, given);
        for manager in MANAGERS
            .iter()
            .filter(|manager| self.run.join(manager.sign).exists())
        {
            let path = self.path(manager, &network.name);
            let text = (manager.text)(&interfaces);
            if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
                continue;
            }
            files::make_directories(&self.run.join(manager.dir))?;
            files::replace_file(&path, &text)?;
            reload(manager);
        }
        Ok(())
    }

    /// Removes what was written for a network.
    pub fn forget(&self, name: &str) -> Result<(), Error> {
        for manager in &MANAGERS {
            files::sweep(&self.run.join(manager.dir));
            let path = self.path(manager, name);
            if path.exists() {
                files::delete(&path)?;
                reload(manager);
            }
        }
        Ok(())
    }

    fn path(&self, manager: &Manager, name: &str) -> PathBuf {
        self.run.join(manager.dir).join((manager.file)(name))
    }
}

/// The bridge, and the taps as far as they are known.
fn interfaces(network: &Network, given: &[Given]) -> Vec<String> {
    let mut names = vec![network.name.to_string()];
    if let Taps::Matching(patterns) = &network.taps {
        names.extend(patterns.iter().map(ToString::to_string));
    }
    let known = given.iter().filter(|one| one.there);
    names.extend(known.map(|one| one.id.to_string()));
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// One that does not answer learns of it when it reads its files the next time.
fn reload(manager: &Manager) {
    let [name, arguments @ ..] = manager.reload else {
        return;
    };
    let Ok(program) = program::find(name) else {
        return;
    };
    let done = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !done.is_ok_and(|status| status.success()) {
        tracing::warn!("`{}` failed", manager.reload.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::super::definition::example;
    use super::super::pattern::Pattern;
    use super::*;

    #[test]
    fn only_those_that_run_are_told_and_nothing_stays() {
        let run = tempfile::tempdir().unwrap();
        let beside = Beside {
            run: run.path().to_owned(),
        };
        let mut network = example("lan", &["10.0.0.1/24"]);
        network.taps = Taps::Matching(vec![Pattern::try_from("vm-*".to_owned()).unwrap()]);
        beside.tell(&network, &[]).unwrap();
        assert_eq!(std::fs::read_dir(run.path()).unwrap().count(), 0);
        for sign in ["systemd/netif/state", "NetworkManager/conf.d"] {
            std::fs::create_dir_all(run.path().join(sign)).unwrap();
        }
        let users = run.path().join("NetworkManager/conf.d/05-own.conf");
        std::fs::write(&users, "theirs").unwrap();
        beside.tell(&network, &[]).unwrap();
        let read = |path: &str| std::fs::read_to_string(run.path().join(path)).unwrap();
        assert_eq!(
            read("systemd/network/05-microvm-lan.network"),
            "[Match]\nName=lan vm-*\n\n[Link]\nUnmanaged=yes\n"
        );
        assert_eq!(
            read("NetworkManager/conf.d/05-microvm-lan.conf"),
            "[keyfile]\nunmanaged-devices+=interface-name:lan;interface-name:vm-*\n"
        );
        beside.forget("lan").unwrap();
        let left = |dir: &str| std::fs::read_dir(run.path().join(dir)).unwrap().count();
        assert_eq!(
            (left("systemd/network"), left("NetworkManager/conf.d")),
            (0, 1)
        );
    }
}
