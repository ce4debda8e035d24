//! `microvm remove`: takes a VM off this host.

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use host::fleet::Keep;

use crate::error::{Error, Kind, Result};
use crate::fleet::{self, StateDir};
use crate::service;
use crate::verbs::say;

/// Take a VM off this host, with its volumes unless they are to be kept
#[derive(clap::Args)]
pub struct Args {
    /// Name of the VM, which must not run
    name: String,

    /// Keep volumes, and whatever else is in its directory
    #[arg(long)]
    keep_volumes: bool,

    /// Do not ask
    #[arg(short = 'y', long)]
    yes: bool,

    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let name = host::fleet::name(&self.name)?;
        let fleet = self.state.open()?;
        let member = fleet::member(&fleet, &name)?;
        if member.runs {
            let error = Error::from(host::fleet::Error::Running {
                name: name.to_string(),
            });
            return Err(error.hint(format!("`microvm stop {name}` stops it")));
        }
        let data = fleet.contents(&name)?.data;
        let data: Vec<String> = data
            .iter()
            .map(|name| name.to_string_lossy().escape_debug().to_string())
            .collect();
        if self.dry_run {
            println!("{}", member.dir.display());
            let lost = data.iter().filter(|_| !self.keep_volumes);
            lost.for_each(|file| println!("{}/{file}", member.dir.display()));
            return Ok(ExitCode::SUCCESS);
        }
        if !self.keep_volumes && !data.is_empty() && !self.yes {
            self.ask(&data)?;
        }
        let keep = if self.keep_volumes {
            Keep::Data
        } else {
            Keep::Nothing
        };
        if member.autostart {
            service::set_autostart(&fleet, &name, false)?;
        }
        service::give_up(&fleet, &name)?;
        fleet.remove(&name, keep)?;
        crate::networks::refresh(&fleet)?;
        service::forget(&fleet, &name)?;
        say(match (self.keep_volumes, data.is_empty()) {
            (true, false) => format!(
                "`{name}` is removed; its data is kept in `{}`",
                member.dir.display()
            ),
            _ => format!("`{name}` is removed"),
        });
        Ok(ExitCode::SUCCESS)
    }

    fn ask(&self, data: &[String]) -> Result<()> {
        let names: Vec<&str> = data.iter().map(String::as_str).collect();
        let lost = format!(
            "{} of `{}` would be lost",
            crate::command::listed(&names),
            self.name
        );
        if !std::io::stdin().is_terminal() {
            return Err(Error::new(Kind::Usage, lost)
                .hint("`--yes` removes all of it, `--keep-volumes` keeps it"));
        }
        eprint!("microvm: {lost}. Remove all of it? [y/N] ");
        let mut answer = String::new();
        let _ = std::io::stdin().lock().read_line(&mut answer);
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Error::new(Kind::Interrupted, "Nothing was removed")),
        }
    }
}
