//! `microvm update`: builds VMs anew from their sources.

use std::process::ExitCode;

use host::fleet::{Fleet, Member};
use spec::names::VmName;

use crate::difference::Difference;
use crate::error::{Error, Kind, Result};
use crate::fleet::{self, StateDir};
use crate::installation::Origin;
use crate::places::Places;
use crate::service;

/// Build VMs of this host anew from their sources, and show what changes
#[derive(clap::Args)]
pub struct Args {
    /// Names of the VMs
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,

    /// Restart those that run and have changed
    #[arg(short = 'R', long)]
    restart: bool,

    /// Take another source from now on
    #[arg(
        short = 'f',
        long = "flake",
        visible_alias = "source",
        value_name = "SOURCE"
    )]
    source: Option<String>,

    /// Resolve packages anew instead of taking what `microvm.lock` pins
    #[arg(long)]
    update: bool,

    /// Print what changes as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    state: StateDir,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let names = fleet::names(&self.names)?;
        let fleet = self.state.open()?;
        self.prepare(&fleet, &names);
        let mut rows = Vec::new();
        let code = fleet::for_each(&names, |name| {
            rows.push(self.update_one(&fleet, name)?);
            Ok(())
        })?;
        if self.json {
            println!("{:#}", serde_json::Value::Array(rows));
        }
        Ok(code)
    }

    /// What several VMs share is evaluated once.
    fn prepare(&self, fleet: &Fleet, names: &[VmName]) {
        let origin = |name: &VmName| {
            let member = fleet.member(name).ok()?;
            Some((name.clone(), self.origin(&member).ok()?))
        };
        let origins: Vec<_> = names.iter().filter_map(origin).collect();
        // With `--update` the flakes are about to change.
        if !self.update {
            Origin::prepare(&origins, &Places::of_this_user());
        }
    }

    fn update_one(&self, fleet: &Fleet, name: &VmName) -> Result<serde_json::Value> {
        let before = fleet::member(fleet, name)?;
        let origin = self.origin(&before)?;
        let ready = origin.build(name, &Places::of_this_user(), self.update)?;
        let difference = Difference::between(before.current.path(), &ready.path);
        let changed = ready.update(fleet, name, &origin, false)?;
        let after = fleet::member(fleet, name)?;
        if !self.json {
            let word = match (changed, before.current.is_there()) {
                (true, _) => "updated",
                (false, true) => "nothing has changed",
                (false, false) => "its package is there again",
            };
            print!("{name}: {word}\n{difference}");
        }
        let is_behind = after.is_behind();
        let restart = self.restart && after.runs && is_behind;
        if restart {
            service::restart(fleet, name)?;
        } else if is_behind && !self.json {
            eprintln!(
                "hint: `{name}` runs the version before; `microvm restart {name}` starts this one"
            );
        }
        Ok(serde_json::json!({
            "name": name,
            "changed": changed,
            "package": ready.path,
            "difference": difference.json(),
            "restarted": restart,
        }))
    }

    fn origin(&self, member: &Member) -> Result<Origin> {
        let name = &member.name;
        if member.managed {
            let message = format!("`{name}` is declared in the host's configuration");
            return Err(Error::new(Kind::Usage, message).hint("`microvm apply` updates it"));
        }
        match (&self.source, &member.source) {
            (Some(source), _) => Origin::given(source, name),
            (None, Some(source)) => Origin::kept(source),
            (None, None) => {
                let message = format!("It is not known where `{name}` comes from");
                let hint = format!("`microvm update {name} -f SOURCE` says so, for good");
                Err(Error::new(Kind::NotFound, message).hint(hint))
            }
        }
    }
}
