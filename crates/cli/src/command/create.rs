//! `microvm create`: installs a VM on this host.

use std::process::ExitCode;

use crate::error::Result;
use crate::fleet::{self, StateDir};
use crate::installation::Origin;
use crate::places::Places;
use crate::verbs::say;

/// Install a VM of a source on this host
#[derive(clap::Args)]
pub struct Args {
    /// Name of the VM, in its source and on this host
    name: String,

    /// Where it is defined, now and at every update; or the path of a runner package
    #[arg(
        short = 'f',
        long = "flake",
        visible_alias = "source",
        value_name = "SOURCE",
        default_value = "."
    )]
    source: String,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let name = host::fleet::name(&self.name)?;
        let origin = Origin::given(&self.source, &name)?;
        let fleet = self.state.open()?;
        // Before a long build.
        if fleet.find(&name)?.is_some() {
            let (name, dir) = (name.to_string(), fleet.dir().to_owned());
            let error = host::fleet::Error::Installed { name, dir };
            let hint = format!("`microvm update {}` builds it anew", self.name);
            return Err(crate::error::Error::from(error).hint(hint));
        }
        let ready = origin.build(&name, &Places::of_this_user(), false)?;
        crate::convergence::unmark(&fleet, &name)?;
        ready.create(&fleet, &name, &origin, false)?;
        crate::networks::refresh(&fleet)?;
        say(format!("`{name}` is installed, from {}", origin.shown()));
        eprintln!(
            "hint: `microvm start {name}` starts it, `microvm autostart {name} on` starts it with the host"
        );
        fleet::say_if_user_is_missing();
        Ok(ExitCode::SUCCESS)
    }
}
