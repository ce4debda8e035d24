//! A guest in which KVM works, for what a machine without it cannot try.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ssh::{KVM_HOST, Ssh};
use crate::{Fleet, Guest, Outcome};

/// Longest that the KVM host may take to answer on a busy machine of two cores.
const BOOT: Duration = Duration::from_secs(300);

/// Longest that it may take to end, with the guests that run in it.
const REBOOT: Duration = Duration::from_secs(400);

/// A directory that the KVM host sees at the same path as this machine does.
pub struct Shared<'a> {
    pub tag: &'a str,
    pub path: &'a Path,
}

/// Runs until it is dropped; what is started in it ends with it.
pub struct KvmHost {
    guest: Mutex<Guest>,
    ssh: Ssh,
    fleet: Fleet,
}

impl KvmHost {
    /// Boots the VM `host` of a definition, in which `@shares@` stands for the directories.
    pub fn start(definition: &str, shares: &[Shared<'_>]) -> Outcome<Self> {
        let shares: String = shares.iter().map(Shared::entry).collect();
        let fleet = Fleet::new(&definition.replace("@shares@", &shares))?;
        fleet.build("host")?;
        let guest = fleet.run("host")?;
        let ssh = Ssh::new(fleet.path(), fleet.port("tcp:host"))?;
        let host = Self {
            guest: Mutex::new(guest),
            ssh,
            fleet,
        };
        host.comes_up()?;
        Ok(host)
    }

    /// Starts it again, with what is on its volumes.
    pub fn reboot(&self) -> Outcome {
        // The connection may end before the command does.
        let _ = self.run("systemctl reboot");
        self.start_again()
    }

    /// Ends it as a power cut does, with what its kernel had not written yet, and starts it again.
    pub fn cut_power(&self) -> Outcome {
        let _ = self.run("echo b > /proc/sysrq-trigger");
        self.start_again()
    }

    /// Its runner ends with it.
    fn start_again(&self) -> Outcome {
        self.ssh.forget(KVM_HOST);
        self.guest().wait(REBOOT)?;
        let started = self.fleet.run("host")?;
        *self.guest() = started;
        self.comes_up()
    }

    fn comes_up(&self) -> Outcome {
        let start = Instant::now();
        while !self.ssh.connects(KVM_HOST) {
            let mut guest = self.guest();
            if !guest.is_running()? || start.elapsed() > BOOT {
                let tail = guest.tail();
                return Err(format!("The KVM host did not answer; its end:\n{tail}").into());
            }
            drop(guest);
            std::thread::sleep(Duration::from_millis(300));
        }
        self.run(
            "systemctl start systemd-modules-load.service kvm-in-use.service; test -c /dev/kvm",
        )
        .map_err(|failure| format!("KVM does not work in the KVM host: {failure}"))?;
        Ok(())
    }

    fn guest(&self) -> MutexGuard<'_, Guest> {
        self.guest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command line as root; gives its stdout.
    pub fn run(&self, line: &str) -> Outcome<String> {
        self.ssh.run(KVM_HOST, line)
    }

    pub fn ssh(&self) -> &Ssh {
        &self.ssh
    }

    /// Whether it does not let a new client in any more.
    pub fn is_lost(&self) -> bool {
        !self.ssh.answers(KVM_HOST)
    }

    /// The store entry with its kernel and the modules of that.
    pub fn kernel(&self) -> Outcome<PathBuf> {
        let link = "result-host/share/microvm/system/kernel";
        let image = self.fleet.path().join(link).canonicalize()?;
        Ok(image.parent().ok_or("an image has a directory")?.to_owned())
    }

    /// What it printed last.
    pub fn tail(&self) -> String {
        self.guest().tail()
    }

    /// The process on this machine.
    pub fn pid(&self) -> u32 {
        self.guest().pid()
    }
}

impl Drop for KvmHost {
    fn drop(&mut self) {
        self.ssh.forget(KVM_HOST);
    }
}

impl Shared<'_> {
    fn entry(&self) -> String {
        let path = self.path.display();
        let tag = self.tag;
        format!(
            "\n    {{ tag = \"{tag}\", source = \"{path}\", mountPoint = \"{path}\", \
             proto = \"virtiofs\", readOnly = true }},"
        )
    }
}
