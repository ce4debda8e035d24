//! The options and what hypervisors can do: for the modules, which are made of it, and for the
//! handbook.

use backend::features::{Feature, HYPERVISORS};
use image::initrd::helpers;
use serde_json::{Map, Value, json};
use spec::options::{Opt, Scope};
use spec::vm::{Arch, Hypervisor};

/// `nix/options/table.json`
pub fn table() -> Value {
    let options: Map<String, Value> = spec::options::all()
        .map(|opt| (opt.name.to_owned(), row(opt)))
        .collect();
    let features: Map<String, Value> = HYPERVISORS
        .into_iter()
        .map(|hypervisor| (hypervisor.to_string(), can(hypervisor)))
        .collect();
    let helpers: Map<String, Value> = HYPERVISORS
        .into_iter()
        .map(|hypervisor| (hypervisor.to_string(), helpers(hypervisor)))
        .collect();
    json!({ "options": options, "hypervisors": features, "helpers": helpers })
}

/// What guest-init's helpers are told in a NixOS guest.
fn helpers(hypervisor: Hypervisor) -> Value {
    let agent: Map<String, Value> = [Arch::X86_64, Arch::Aarch64]
        .into_iter()
        .filter_map(|arch| Some((arch.to_string(), json!(helpers::agent(hypervisor, arch)?))))
        .collect();
    json!({ "agent": agent, "exec": helpers::commands(hypervisor) })
}

fn row(opt: &Opt) -> Value {
    let mut row = json!({
        "meaning": opt.meaning,
        "example": opt.example,
        "schema": opt.kind.schema(),
        "nullable": opt.nullable,
        "nixOnly": opt.scope == Scope::Nix,
    });
    match opt.default.to_json() {
        Some(value) => row["default"] = value,
        None => row["computed"] = opt.default.to_string().into(),
    }
    row
}

fn can(hypervisor: Hypervisor) -> Value {
    let can = |feature: &&Feature| feature.support(hypervisor).is_possible();
    Feature::ALL
        .iter()
        .filter(can)
        .map(|one| one.title())
        .collect()
}

/// `docs/options.md`
pub fn handbook() -> String {
    let mut text = HEAD.to_owned();
    let mut group = "";
    for opt in spec::options::all() {
        let first = opt.name.split('.').next().unwrap_or(opt.name);
        if first != group && spec::options::below(first).count() > 1 {
            text += &format!("\n## {first}\n");
        }
        group = first;
        text += &entry(opt);
    }
    text
}

const HEAD: &str = "\
# Options

Written by `microvm nix handbook`, from the table that checks definitions. The same names are below
`[vm.NAME]` of a `microvm.toml` and below `microvm` of a NixOS guest; those marked *Nix* mean
something there alone, and what is below `guest`, but for `guest.enable`, is for guests without Nix.
";

fn entry(opt: &Opt) -> String {
    let json = opt.to_json();
    let word = |key: &str| json[key].as_str().unwrap_or_default().replace('|', "\\|");
    let mut marks = Vec::new();
    match opt.scope {
        Scope::Every => {}
        Scope::Nix => marks.push("*Nix*".to_owned()),
        Scope::Only(hypervisors) => {
            let names: Vec<String> = hypervisors.iter().map(ToString::to_string).collect();
            marks.push(format!("only {}", names.join(", ")));
        }
    }
    let marks = match marks.is_empty() {
        true => String::new(),
        false => format!(" ({})", marks.join(", ")),
    };
    format!(
        "\n`{}`{marks}: {}\n  {}; default: {}\n",
        opt.name,
        opt.meaning,
        word("type"),
        word("default"),
    )
}
