//! Evaluations: all VMs of a flake that a command needs in one, and each flake once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::{Flake, Runners, nix};
use crate::command::listed;
use crate::error::{Error, Kind, Result};

/// What was evaluated, by flake and name: a command sees one state of a flake.
static KNOWN: Mutex<BTreeMap<(Flake, String), Runners>> = Mutex::new(BTreeMap::new());

fn known(flake: &Flake, name: &str) -> Option<Runners> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.get(&(flake.clone(), name.to_owned())).cloned()
}

/// One VM; what was evaluated already is taken from there.
pub fn one(flake: &Flake, name: &str) -> Result<Runners> {
    if let Some(runners) = known(flake, name) {
        return Ok(runners);
    }
    let mut found = all(flake, &[name])?;
    found.remove(name).ok_or_else(|| absent(flake, name))
}

/// Several in one evaluation. Those that are not there are left out.
pub fn all(flake: &Flake, names: &[&str]) -> Result<BTreeMap<String, Runners>> {
    // Names of VMs have no character that a string of Nix would read as another.
    let list: String = names.iter().map(|name| format!(" {name:?}")).collect();
    let function = format!(
        "all: let vms = builtins.filter (name: all ? ${{name}}) [{list} ]; in \
         builtins.listToAttrs (map (name: {{ inherit name; value = let runner = \
         all.${{name}}.config.microvm.declaredRunner; in {{ derivation = runner.drvPath; \
         out = runner.outPath; }}; }}) vms)"
    );
    let value = apply(flake, &function)?;
    let mut found = BTreeMap::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = |key: &str| value[key].as_str().map(PathBuf::from);
        if let (Some(derivation), Some(out)) = (path("derivation"), path("out")) {
            found.insert(name.clone(), Runners { derivation, out });
        }
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.extend(
        found
            .iter()
            .map(|(name, runners)| ((flake.clone(), name.clone()), runners.clone())),
    );
    Ok(found)
}

/// Those of the configurations that are VMs; one that cannot be evaluated is told of when it is.
pub fn names(flake: &Flake) -> Result<Vec<String>> {
    let function = "all: builtins.filter (name: let is = builtins.tryEval \
                    (all.${name} ? config.microvm.declaredRunner); in !is.success || is.value) \
                    (builtins.attrNames all)";
    let value = apply(flake, function)?;
    let names = value.as_array().into_iter().flatten();
    Ok(names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect())
}

fn apply(flake: &Flake, function: &str) -> Result<Value> {
    let mut command = nix::command("nix");
    command
        .args(["eval", "--json", "--apply", function, "--"])
        .arg(format!("{flake}#nixosConfigurations"));
    tracing::debug!(?command, "evaluating");
    nix::evaluate(&mut command)
}

fn absent(flake: &Flake, name: &str) -> Error {
    match names(flake) {
        Ok(names) if !names.is_empty() => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Error::new(
                Kind::NotFound,
                format!("`{flake}` has no VM `{name}`; it has {}", listed(&names)),
            )
        }
        _ => flake.has_none(),
    }
}
