//! `microvm migrate`: from the state directories of MicroVM.nix's versions.

use std::process::ExitCode;

use host::fleet::{Adopted, Fate, Fleet, Leftover};
use serde_json::{Value, json};
use spec::names::VmName;

use crate::error::Result;
use crate::fleet::{self, StateDir};

/// Take over what MicroVM.nix's host left to its user `microvm`, and remove what version 0.1.0
/// copied into directories of VMs, once their packages have it
#[derive(clap::Args)]
pub struct Args {
    /// Do it; otherwise only say what would be done, and why the rest is kept
    #[arg(short = 'y', long)]
    yes: bool,

    /// As JSON; nothing is done
    #[arg(long, conflicts_with = "yes")]
    json: bool,

    #[command(flatten)]
    state: StateDir,
}

/// All that is found.
struct Found {
    adoptable: Vec<(VmName, Vec<Adopted>)>,
    without_helpers: Vec<(VmName, Vec<&'static str>)>,
    leftovers: Vec<(VmName, Leftover)>,
}

impl Found {
    /// Whether a copy can go may show only once its VM is taken over.
    fn of(fleet: &Fleet) -> Result<Self> {
        let adoptable = fleet.adoptable()?;
        let leftovers = match adoptable.is_empty() {
            true => fleet.leftovers()?,
            false => Vec::new(),
        };
        let each = |(name, all): (VmName, Vec<Leftover>)| {
            all.into_iter()
                .map(move |leftover| (name.clone(), leftover))
        };
        Ok(Self {
            adoptable,
            without_helpers: fleet.without_helpers()?,
            leftovers: leftovers.into_iter().flat_map(each).collect(),
        })
    }

    fn is_empty(&self) -> bool {
        self.adoptable.is_empty() && self.without_helpers.is_empty() && self.leftovers.is_empty()
    }

    fn rows(&self) -> Vec<Value> {
        let adopted = self.adoptable.iter().flat_map(|(name, all)| {
            all.iter().map(move |one| {
                json!({ "vm": &**name, "path": one.path.display().to_string(), "step": "take-over", "why": whose(one) })
            })
        });
        let helpers = self.without_helpers.iter().map(|(name, lacking)| {
            json!({ "vm": &**name, "path": null, "step": "update", "why": of_old(lacking) })
        });
        let leftovers = self.leftovers.iter().map(|(name, left)| {
            let step = if left.fate == Fate::Replaced { "remove" } else { "keep" };
            json!({ "vm": &**name, "path": left.path.display().to_string(), "step": step, "why": why(left.fate) })
        });
        adopted.chain(helpers).chain(leftovers).collect()
    }

    /// What is to be known, whether anything is done or not.
    fn print_notes(&self) {
        for (_, left) in self
            .leftovers
            .iter()
            .filter(|(_, left)| left.fate != Fate::Replaced)
        {
            println!("keep {}: {}", left.path.display(), why(left.fate));
        }
        for (name, lacking) in &self.without_helpers {
            println!("update {name}: {}", of_old(lacking));
        }
    }
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let fleet = self.state.open()?;
        let found = Found::of(&fleet)?;
        if self.json {
            println!("{:#}", Value::from(found.rows()));
            return Ok(ExitCode::SUCCESS);
        }
        if found.is_empty() {
            println!("{}: nothing to migrate", fleet.dir().display());
            return Ok(ExitCode::SUCCESS);
        }
        match self.yes {
            true => carry_out(&fleet, &found),
            false => {
                found.print_notes();
                plan(&found);
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn plan(found: &Found) {
    let adopted = found.adoptable.iter().flat_map(|(_, all)| all);
    let adopted = adopted.map(|one| format!("take over {}: {}", one.path.display(), whose(one)));
    let go = found
        .leftovers
        .iter()
        .filter(|(_, left)| left.fate == Fate::Replaced);
    let go = go.map(|(_, left)| format!("remove {}", left.path.display()));
    let lines: Vec<String> = adopted.chain(go).collect();
    lines.iter().for_each(|line| println!("{line}"));
    if !lines.is_empty() {
        eprintln!("hint: `microvm migrate --yes` does so");
    }
}

fn carry_out(fleet: &Fleet, found: &Found) -> Result<ExitCode> {
    let names: Vec<VmName> = found
        .adoptable
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    let adopted = fleet::for_each(&names, |name| {
        let all = fleet.adopt(name)?;
        all.iter().for_each(|one| println!("{}", took_over(one)));
        Ok(())
    })?;
    let found = Found::of(fleet)?;
    found.print_notes();
    let mut names: Vec<VmName> = found
        .leftovers
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    names.dedup();
    let removed = fleet::for_each(&names, |name| {
        for path in fleet.remove_leftovers(name)? {
            println!("removed {}", path.display());
        }
        Ok(())
    })?;
    Ok(if adopted == ExitCode::SUCCESS {
        removed
    } else {
        adopted
    })
}

pub fn took_over(adopted: &Adopted) -> String {
    format!("took over {}: {}", adopted.path.display(), whose(adopted))
}

fn whose(adopted: &Adopted) -> String {
    format!("it says `{}`, by the user {}", adopted.says, adopted.uid)
}

fn of_old(lacking: &[&str]) -> String {
    let lacking = lacking.join("`, `");
    format!(
        "its package is of MicroVM.nix 0.5.0 or before, and has no `{lacking}`; `microvm update` \
         builds one that has"
    )
}

fn why(fate: Fate) -> &'static str {
    match fate {
        Fate::Replaced => "the package has it",
        Fate::NoPackage => "the VM has no package; `microvm create NAME -f SOURCE` installs one",
        Fate::NotInPackage => "the package does not have it",
        Fate::Unknown => "it is not what version 0.1.0 left",
    }
}
