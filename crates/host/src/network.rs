//! Networks of a host's VMs: a bridge of the kernel, addresses and names by dnsmasq, NAT by
//! nftables. It touches no interface, table, file or setting that it did not make, and remembers
//! what it changes, to set it back.
//!
//! What is wanted is recorded in the state directory, so that a network comes up as it was when
//! the host starts. What serves it is below `/run`, and ends with the host.

mod addresses;
mod beside;
mod bridge;
pub mod cidr;
pub mod definition;
mod dnsmasq;
mod error;
mod firewalld;
mod guests;
mod keeper;
mod lease_file;
pub mod pattern;
mod records;
mod resolved;
mod rules;
mod server;
mod sysctl;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use spec::names::InterfaceId;

use crate::fleet::{Fleet, fault, files};
use crate::service::Systemd;
use crate::user;

pub use addresses::{Given, Nic};
pub use bridge::Attached;
pub use definition::{Dhcp, Lease, Network, Range, Taps};
pub use dnsmasq::DOMAIN;
pub use error::Error;
pub use keeper::{KEEPER_COMMAND, keeper_main};
pub use lease_file::Held;

use beside::Beside;
use bridge::Interfaces;
use dnsmasq::Files;
use server::{Own, Server};
use sysctl::Sysctls;

/// An interface of a VM, and the bridge that its definition names, where it names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub nic: Nic,
    pub bridge: Option<InterfaceId>,
}

/// The networks of a state directory.
#[derive(Debug)]
pub struct Networks {
    fleet: Fleet,
    /// `/`, below which are `run`, `proc` and `sys`.
    root: PathBuf,
    /// The `microvm` binary.
    program: PathBuf,
}

/// Names of a network's unit and of the target before which all of them are up.
pub fn unit(name: &str) -> String {
    format!("microvm-network@{name}.service")
}

impl Networks {
    pub fn new(fleet: &Fleet, root: &Path, program: &Path) -> Self {
        Self {
            fleet: fleet.clone(),
            root: root.to_owned(),
            program: program.to_owned(),
        }
    }

    /// Brings a network up as it is recorded, or closes the difference: all but its dnsmasq.
    pub fn set_up(&self, name: &str) -> Result<(), Error> {
        let _lock = self.lock()?;
        let network = self.network(name)?;
        let run = self.files(name).run;
        files::make_directories(&run)?;
        // dnsmasq has no privileges when it reads its files again.
        for dir in [run.parent().unwrap_or(&run), &run] {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
                .map_err(|source| Error::io("open up", dir, source))?;
        }
        files::delete(&self.settled(name))?;
        fault::point();
        self.write_configuration(&network)?;
        fault::point();
        self.write_known()?;
        fault::point();
        self.beside().tell(&network, &self.given(name)?)?;
        fault::point();
        self.interfaces().make(&network)?;
        fault::point();
        self.settle_with_kernel()?;
        fault::point();
        self.attach_all(&network)?;
        resolved::tell(&self.run(), &network);
        firewalld::admit(&self.run(), name);
        fault::point();
        records::write(&self.settled(name), &network)
    }

    /// Takes a network down, and leaves nothing of it but what is recorded.
    pub fn take_down(&self, name: &str) -> Result<(), Error> {
        let _lock = self.lock()?;
        firewalld::forget(&self.run(), name);
        fault::point();
        self.interfaces().delete(name)?;
        fault::point();
        self.settle_with_kernel()?;
        fault::point();
        self.beside().forget(name)?;
        fault::point();
        let run = self.files(name).run;
        match fs::remove_dir_all(&run) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            done => done.map_err(|source| Error::io("delete", &run, source))?,
        }
        // Of the last network nothing is left.
        let _ = run.parent().map(fs::remove_dir);
        Ok(())
    }

    /// Brings a network up with all that serves it.
    pub fn up(&self, name: &str) -> Result<(), Error> {
        self.set_up(name)?;
        fault::point();
        let server = self.server()?;
        if let Server::Systemd(systemd) = &server {
            systemd.on("start", &unit(name)).map_err(Error::Service)?;
        }
        server.start(name, &self.files(name))
    }

    /// Takes a network down with all that serves it.
    pub fn down(&self, name: &str) -> Result<(), Error> {
        let server = self.server()?;
        server.stop(name, &self.files(name))?;
        fault::point();
        if let Server::Systemd(systemd) = &server {
            systemd.on("stop", &unit(name)).map_err(Error::Service)?;
        }
        self.take_down(name)
    }

    /// Has a network come up with the host, where there is something that starts with it.
    pub fn enable(&self, name: &str, on: bool) -> Result<(), Error> {
        let verb = if on { "enable" } else { "disable" };
        match self.server()? {
            Server::Systemd(systemd) => systemd.on(verb, &unit(name)).map_err(Error::Service),
            Server::Own(_) => Ok(()),
        }
    }

    /// Becomes the dnsmasq of a network. Returns only where that fails.
    pub fn serve(&self, name: &str) -> Error {
        match server::command(&self.files(name)) {
            Ok(mut command) => Error::Run {
                program: command.get_program().into(),
                source: command.exec(),
            },
            Err(error) => error,
        }
    }

    /// Whether a network is up as it is recorded.
    pub fn is_up(&self, network: &Network) -> bool {
        self.is_settled(network)
            && self.interfaces().is_as_wanted(network)
            && server::is_current(&self.files(&network.name))
    }

    /// Whether all of it was set up as it is recorded: rules and settings are not looked at one by
    /// one, and a change may have been cut off.
    fn is_settled(&self, network: &Network) -> bool {
        let settled = records::read(&self.settled(&network.name));
        settled.is_ok_and(|settled: Option<Network>| settled.as_ref() == Some(network))
    }

    /// Where it is said how the network was last set up.
    fn settled(&self, name: &str) -> PathBuf {
        self.files(name).run.join("settled.json")
    }

    /// Whether its bridge is there, as it is declared or otherwise.
    pub fn is_there(&self, name: &str) -> bool {
        self.interfaces().is_ours(name)
    }

    /// Names of the taps on a network's bridge.
    pub fn ports(&self, name: &str) -> Vec<String> {
        self.interfaces().ports(name).into_iter().collect()
    }

    /// Leases that guests have asked for.
    pub fn held(&self, name: &str) -> Vec<Held> {
        let text = fs::read_to_string(self.files(name).leases).unwrap_or_default();
        lease_file::parse(&text)
    }

    /// Rules and settings for the networks whose bridges are there.
    fn settle_with_kernel(&self) -> Result<(), Error> {
        let mut up = self.recorded()?;
        up.retain(|network| self.interfaces().is_ours(&network.name));
        rules::apply(&up)?;
        let sysctls = Sysctls {
            root: &self.root.join("proc/sys"),
            record: self.fleet.own("networks")?.join("settings.json"),
        };
        sysctls.apply(&up)
    }

    fn write_configuration(&self, network: &Network) -> Result<(), Error> {
        let files = self.files(&network.name);
        let user = match user::user_id("dnsmasq") {
            Some(_) => "dnsmasq",
            None => "nobody",
        };
        let text = dnsmasq::configuration(network, &files, user);
        Ok(files::replace_file(&files.configuration(), &text)?)
    }

    /// Who is known, for each network that is up. Every one knows the names of all.
    fn write_known(&self) -> Result<(), Error> {
        let networks = self.recorded()?;
        let mut names = String::new();
        let mut fixed = Vec::new();
        for network in &networks {
            let given = self.given(&network.name)?;
            names += &dnsmasq::names(network, &given);
            fixed.push((network, dnsmasq::fixed(network, &given)));
        }
        for (network, fixed) in fixed {
            let files = self.files(&network.name);
            if !files.run.is_dir() {
                continue;
            }
            let changed = [
                replace_if_other(&files.names(), &names)?,
                replace_if_other(&files.fixed(), &fixed)?,
            ];
            if changed.contains(&true) {
                server::reload(&files);
            }
        }
        Ok(())
    }

    fn server(&self) -> Result<Server, Error> {
        Ok(match Systemd::with_units_for(self.fleet.dir()) {
            Some(systemd) => Server::Systemd(systemd),
            None => Server::Own(Own {
                program: self.program.clone(),
                run: self.fleet.own("run")?,
                logs: self.fleet.own("logs")?,
            }),
        })
    }

    fn interfaces(&self) -> Interfaces {
        Interfaces::below(&self.root)
    }

    fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    fn beside(&self) -> Beside {
        Beside { run: self.run() }
    }

    fn files(&self, name: &str) -> Files {
        Files {
            run: self.run().join("microvm-networks").join(name),
            leases: self.dir_of(name).join("leases"),
        }
    }
}

fn replace_if_other(path: &Path, text: &str) -> Result<bool, Error> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(false);
    }
    files::replace_file(path, text)?;
    Ok(true)
}
