//! Ways into a guest that runs: guest-init over vsock, SSH over vsock, through a port that is
//! forwarded, or to its address on a network of the host.

use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use host::fleet::{Fleet, Member};
use host::vsock::Target;
use spec::Vm;
use spec::names::VmName;
use spec::vm::{From, Proto};

use crate::error::{Error, Kind, OrKind, Result};
use crate::fleet;
use crate::networks;
use crate::runner::Runner;
use crate::session_key;

/// Where sshd listens: systemd 256 and later serve it on vsock too, unasked.
const SSH_PORT: u16 = 22;

/// A VM that runs, and who is to be in it.
pub struct Guest {
    name: VmName,
    vm: Vm,
    /// Where its hypervisor speaks vsock by itself.
    own_vsock: Option<PathBuf>,
    key: PathBuf,
    /// On a network of the host.
    address: Option<Ipv4Addr>,
}

enum Way {
    Vsock(Target),
    Port(Ipv4Addr, u16),
}

impl Guest {
    /// An installed VM, which must run.
    pub fn find(fleet: &Fleet, name: &VmName) -> Result<Self> {
        let member = fleet::member(fleet, name)?;
        if !member.runs {
            let error = Error::new(Kind::NotFound, format!("`{name}` does not run"));
            return Err(error.hint(format!("`microvm start {name}` starts it")));
        }
        Self::of(fleet, &member)
    }

    fn of(fleet: &Fleet, member: &Member) -> Result<Self> {
        let runner = Runner::in_directory(member.in_use().path(), &member.dir)?;
        let own_vsock = runner.control().vsock;
        Ok(Self {
            name: member.name.clone(),
            vm: runner.vm().clone(),
            own_vsock: own_vsock.map(|socket| member.dir.join(socket)),
            key: session_key::private(fleet, &member.name),
            address: networks::address(fleet, &member.name),
        })
    }

    /// Where guest-init takes commands; `None` without vsock, an error where it does not answer.
    pub fn commands(&self) -> Option<std::io::Result<Target>> {
        let target = self.vsock(host::guest_exec::PORT)?;
        Some(target.connect_as_root().map(|_| target))
    }

    /// Whether the guest is there, by its own word or that of its sshd; `None` where it has no way
    /// to say so.
    pub fn is_up(&self, bound: Duration) -> Option<bool> {
        if let Some(target) = self.vsock(host::guest_exec::PORT) {
            let bound = bound.max(Duration::from_secs(1));
            return Some(host::guest_exec::wait_until_booted(&target, bound).unwrap_or(false));
        }
        match self.ssh_way()? {
            Way::Vsock(_) => Some(true),
            Way::Port(address, port) => Some(greets(address, port)),
        }
    }

    fn vsock(&self, port: u32) -> Option<Target> {
        let cid = self.vm.vsock?;
        Some(match &self.own_vsock {
            Some(socket) => Target::Hypervisor {
                socket: socket.clone(),
                port,
            },
            None => Target::Kernel {
                cid: cid.into(),
                port,
            },
        })
    }

    /// Runs ssh(1), with a key of its own where the guest can be given one; gives its exit code.
    pub fn ssh(&self, user: &str, terminal: bool, command: &[String]) -> Result<ExitCode> {
        let way = self.ssh_way().ok_or_else(|| self.no_way_in())?;
        let mut ssh = ssh_command(&way)?;
        let commands = self.commands().and_then(std::io::Result::ok);
        let lent = commands
            .as_ref()
            .and_then(|target| session_key::Lent::new(target, user));
        let own = lent.as_ref().map(session_key::Lent::private);
        let is_readable = |key: &&PathBuf| std::fs::File::open(key).is_ok();
        for key in own
            .iter()
            .chain([&self.key].into_iter().filter(is_readable))
        {
            ssh.arg("-i").arg(key);
        }
        if terminal {
            ssh.arg("-t");
        }
        ssh.arg("-l")
            .arg(user)
            .arg("--")
            .arg(&*self.name)
            .args(command);
        // What it is told from the terminal is for it alone.
        let status = ssh
            .status()
            .map_err(|error| Error::new(Kind::Other, format!("Cannot run `ssh`: {error}")))?;
        Ok(ExitCode::from(status.code().map_or(255, |code| code as u8)))
    }

    /// The first that answers.
    fn ssh_way(&self) -> Option<Way> {
        let vsock = self.vsock(SSH_PORT.into());
        if let Some(target) = vsock.filter(|target| target.connect().is_ok()) {
            return Some(Way::Vsock(target));
        }
        self.forwarded()
            .or_else(|| Some(Way::Port(self.address?, SSH_PORT)))
    }

    fn forwarded(&self) -> Option<Way> {
        let forwarded = self.vm.forward_ports.iter().find(|forward| {
            (forward.from, forward.proto) == (From::Host, Proto::Tcp)
                && forward.guest.port == SSH_PORT
        })?;
        let address = forwarded
            .host
            .address
            .filter(|address| !address.is_unspecified());
        let address = address.unwrap_or(Ipv4Addr::LOCALHOST);
        Some(Way::Port(address, forwarded.host.port))
    }

    fn no_way_in(&self) -> Error {
        let name = &self.name;
        let message = format!("`{name}` has no way in for SSH that answers");
        Error::new(Kind::NotFound, message).hint(format!(
            "`vsock.cid` gives it one where its guest has systemd 256 or later, `forwardPorts` to \
             port {SSH_PORT} another, a tap on a network of `host.toml` a third; `microvm console \
             {name}` needs none"
        ))
    }
}

/// Whether an sshd says its first words: a port that is forwarded is open before the guest is.
fn greets(address: Ipv4Addr, port: u16) -> bool {
    const PATIENCE: Duration = Duration::from_secs(5);
    let mut banner = [0; 4];
    TcpStream::connect_timeout(&(address, port).into(), PATIENCE)
        .and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.read_exact(&mut banner)
        })
        .is_ok_and(|()| &banner == b"SSH-")
}

/// The guest's key is new whenever its root is, and what leads there leaves this host not.
fn ssh_command(way: &Way) -> Result<Command> {
    let program = host::program::find("ssh").or_kind(Kind::Missing)?;
    let mut command = Command::new(program);
    for option in [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
    ] {
        command.args(["-o", option]);
    }
    match way {
        Way::Port(address, port) => {
            command.args(["-o", &format!("HostName={address}")]);
            command.args(["-p", &port.to_string()]);
        }
        Way::Vsock(target) => {
            let own = std::env::current_exe().or_kind(Kind::Other)?;
            command.env(PROGRAM, own);
            command.env(TARGET, serde_json::to_string(target).or_kind(Kind::Other)?);
            command.args(["-o", &format!("ProxyCommand={PROXY}")]);
        }
    }
    Ok(command)
}

/// The first argument of the process that ssh(1) talks through.
pub const VSOCK_RELAY: &str = "vsock-relay";

/// Its variables: ssh(1) gives its proxy command to a shell, so nothing that varies stands in it.
const PROGRAM: &str = "MICROVM_SSH_PROGRAM";
const TARGET: &str = "MICROVM_SSH_TARGET";
const PROXY: &str = "\"$MICROVM_SSH_PROGRAM\" vsock-relay";

/// Joins standard input and output to the guest.
pub fn relay_vsock() -> Result<ExitCode> {
    let target = std::env::var(TARGET).or_kind(Kind::Usage)?;
    let target: Target = serde_json::from_str(&target).or_kind(Kind::Usage)?;
    target.relay().or_kind(Kind::NotFound)?;
    Ok(ExitCode::SUCCESS)
}
