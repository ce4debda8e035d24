//! `microvm ssh`: into a VM of this host, over vsock where it has that, else through a port that
//! is forwarded, else by its address on a network of the host.

use std::process::ExitCode;

use crate::error::Result;
use crate::fleet::StateDir;
use crate::ways::Guest;

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

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let name = host::fleet::name(&self.name)?;
        let guest = Guest::find(&self.state.open()?, &name)?;
        guest.ssh(&self.user, false, &self.command)
    }
}
