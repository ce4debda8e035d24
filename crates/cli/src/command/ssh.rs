//! `microvm ssh`: into a VM of this host, over vsock where it has that, else through a port that
//! is forwarded, else by its address on a network of the host.

use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use host::vsock::Target;
use spec::Vm;
use spec::vm::{From, Proto};

use crate::error::{Error, Kind, OrKind, Result};
use crate::fleet::{self, StateDir};
use crate::networks;
use crate::runner::Runner;

/// Log in to a VM of this host, or run a command there
#[derive(clap::Args)]
pub struct Args {
    /// Name of the VM
    name: String,

    /// Whom to log in as
    #[arg(short = 'l', long, value_name = "USER", default_value = "root")]
    user: String,

    #[command(flatten)]
    state: StateDir,

    /// What to run there, as ssh(1) takes it; without it a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// A way into a guest.
enum Way {
    Vsock(Target),
    Port(Ipv4Addr, u16),
}

/// Where sshd listens: systemd 256 and later serve it on vsock too, unasked.
const PORT: u16 = 22;

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let name = host::fleet::name(&self.name)?;
        let fleet = self.state.open()?;
        let member = fleet::member(&fleet, &name)?;
        if !member.runs {
            let error = Error::new(Kind::NotFound, format!("`{name}` does not run"));
            return Err(error.hint(format!("`microvm start {name}` starts it")));
        }
        let runner = Runner::open(member.in_use().path())?;
        let own_vsock = runner.control().vsock;
        let own_vsock = own_vsock.map(|socket| member.dir.join(socket));
        let way = way(runner.vm(), own_vsock.as_deref());
        let way = way.or_else(|| networks::address(&fleet, &name).map(|at| Way::Port(at, PORT)));
        let way = way.ok_or_else(|| {
            let message = format!("`{name}` has no way in for SSH that answers");
            Error::new(Kind::NotFound, message).hint(format!(
                "`vsock.cid` gives it one where its guest has systemd 256 or later, `forwardPorts` \
                 to port {PORT} another, a tap on a network of `host.toml` a third; \
                 `microvm console {name}` needs none"
            ))
        })?;
        let mut command = self.ssh(&way)?;
        Err(Error::new(
            Kind::Other,
            format!("Cannot run `ssh`: {}", command.exec()),
        ))
    }

    /// The guest's key is new whenever its root is, and what leads there leaves this host not.
    fn ssh(&self, way: &Way) -> Result<Command> {
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
        command.arg("-l").arg(&self.user).arg("--").arg(&self.name);
        command.args(&self.command);
        Ok(command)
    }
}

/// The first that answers.
fn way(vm: &Vm, own_vsock: Option<&Path>) -> Option<Way> {
    let port = u32::from(PORT);
    let vsock = vm.vsock.map(|cid| match own_vsock {
        Some(socket) => Target::Hypervisor {
            socket: socket.to_owned(),
            port,
        },
        None => Target::Kernel {
            cid: cid.into(),
            port,
        },
    });
    if let Some(target) = vsock.filter(|target| target.connect().is_ok()) {
        return Some(Way::Vsock(target));
    }
    let forwarded = vm.forward_ports.iter().find(|forward| {
        (forward.from, forward.proto) == (From::Host, Proto::Tcp) && forward.guest.port == PORT
    })?;
    let address = forwarded
        .host
        .address
        .filter(|address| !address.is_unspecified());
    let address = address.unwrap_or(Ipv4Addr::LOCALHOST);
    Some(Way::Port(address, forwarded.host.port))
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
