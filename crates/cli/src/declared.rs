//! The VMs and networks that a host's configuration declares: `host.toml`.

mod network;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use host::network::Network;
use serde::Deserialize;
use spec::names::VmName;

use crate::error::{Error, Kind, OrKind, Result};
use crate::installation::{Inline, Origin};

/// A host's configuration, read.
pub struct Declared {
    pub file: PathBuf,
    pub state_dir: Option<PathBuf>,
    /// In the order of their names.
    pub vms: Vec<DeclaredVm>,
    /// The same.
    pub networks: Vec<Network>,
}

/// One VM of it.
pub struct DeclaredVm {
    pub name: VmName,
    /// What it is built from.
    pub origin: Origin,
    /// What it is updated from by hand, once it is installed.
    pub update: Option<Origin>,
    pub autostart: bool,
    pub restart_if_changed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    state_dir: Option<PathBuf>,
    #[serde(default)]
    vms: BTreeMap<String, Table>,
    #[serde(default)]
    networks: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Table {
    flake: Option<String>,
    update_flake: Option<String>,
    config: Option<toml::Table>,
    #[serde(default = "yes")]
    autostart: bool,
    restart_if_changed: Option<bool>,
    /// The network that its taps are for.
    network: Option<String>,
}

fn yes() -> bool {
    true
}

impl Declared {
    /// Reads the file; what is wrong in it is told with its line.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let message = format!("Cannot read `{}`: {error}", file.display());
            Error::new(Kind::NotFound, message)
                .hint("it declares the VMs of this host: `[vms.NAME]` with `flake = \"SOURCE\"`")
        })?;
        Self::parse(&text, file)
    }

    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let parsed: File = toml::from_str(text).map_err(|error| {
            let message = format!("`{}` cannot be read: {error}", file.display());
            Error::new(Kind::Definition, message.trim_end().to_owned())
        })?;
        if let Some(dir) = parsed.state_dir.as_ref().filter(|dir| !dir.is_absolute()) {
            let dir = dir.display();
            return Err(wrong(
                file,
                format!("`stateDir` is `{dir}`; accepted is an absolute path"),
            ));
        }
        let networks = networks(&parsed, file)?;
        let vms = parsed.vms.into_iter();
        let vms: Result<Vec<DeclaredVm>> = vms
            .map(|(name, table)| declared(&name, table, text, file))
            .collect();
        Ok(Self {
            file: file.to_owned(),
            state_dir: parsed.state_dir,
            vms: vms?,
            networks,
        })
    }
}

/// The networks of a NixOS host, as its module writes them: JSON with `networks`, and `vms` that
/// name one.
pub fn networks_of_nix(text: &str) -> Result<Vec<Network>> {
    let parsed: File = serde_json::from_str(text).or_kind(Kind::Definition)?;
    networks(&parsed, Path::new("config.microvm"))
}

fn wrong(file: &Path, message: String) -> Error {
    Error::new(Kind::Definition, format!("`{}`: {message}", file.display()))
}

/// A wrong name of a VM is told where the VM is read.
fn networks(parsed: &File, file: &Path) -> Result<Vec<Network>> {
    let told = parsed.vms.iter().filter_map(|(name, table)| {
        let name = VmName::try_from(name.clone()).ok()?;
        Some((name, table.network.clone()?))
    });
    let mut problems = table::Problems::default();
    let networks = network::read(&parsed.networks, &told.collect::<Vec<_>>(), &mut problems);
    match problems.is_empty() {
        true => Ok(networks),
        false => {
            let message = format!("`{}` cannot be used:\n{problems}", file.display());
            Err(Error::new(Kind::Definition, message))
        }
    }
}

fn declared(text_name: &str, table: Table, text: &str, file: &Path) -> Result<DeclaredVm> {
    let name = host::fleet::name(text_name)?;
    let base_dir = file.parent().unwrap_or(Path::new("/"));
    let is_inline = table.config.is_some();
    let origin = match (table.flake, table.config) {
        (Some(source), None) => Origin::given_in(&source, &name, base_dir)?,
        (None, Some(config)) => Origin::Inline(Inline {
            shown: file.display().to_string(),
            base_dir: base_dir.to_owned(),
            text: definition(&name, config, text),
        }),
        (Some(_), Some(_)) => {
            let message =
                format!("`vms.{name}` has both `flake` and `config`; accepted is one of them");
            return Err(wrong(file, message));
        }
        (None, None) => {
            let message = format!(
                "`vms.{name}` says not what it runs; accepted are `flake = \"SOURCE\"` and a \
                 table `[vms.{name}.config]` with the options of the VM"
            );
            return Err(wrong(file, message));
        }
    };
    if is_inline && table.update_flake.is_some() {
        let message = format!("`vms.{name}.updateFlake` belongs to `flake`, not to `config`");
        return Err(wrong(file, message));
    }
    let update = table.update_flake;
    let update = update.map(|source| Origin::given_in(&source, &name, base_dir));
    Ok(DeclaredVm {
        name,
        origin,
        update: update.transpose()?,
        autostart: table.autostart,
        restart_if_changed: table.restart_if_changed.unwrap_or(is_inline),
    })
}

/// A table as a definition of its own: where it can be cut out, with its lines where they are, so
/// that problems name them; else written out.
fn definition(name: &VmName, config: toml::Table, text: &str) -> String {
    let vm = toml::Table::from_iter([(name.to_string(), toml::Value::Table(config))]);
    let wanted = toml::Table::from_iter([("vm".to_owned(), toml::Value::Table(vm))]);
    let cut = cut_out(name, text);
    match cut.parse::<toml::Table>() {
        Ok(table) if table == wanted => cut,
        _ => wanted.to_string(),
    }
}

/// The lines below headers `[vms.NAME.config…]`, and an empty line for each other one.
fn cut_out(name: &VmName, text: &str) -> String {
    let header = format!("vms.{name}.config");
    let mut inside = false;
    let mut cut = String::with_capacity(text.len());
    for line in text.lines() {
        let trimmed = line.trim_start();
        let title = trimmed.trim_start_matches('[').trim_start();
        if trimmed.starts_with('[') {
            let rest = title.strip_prefix(&header);
            inside = rest.is_some_and(|rest| rest.trim_start().starts_with([']', '.']));
        }
        if inside && trimmed.starts_with('[') {
            cut += &line.replacen(&header, &format!("vm.{name}"), 1);
        } else if inside {
            cut += line;
        }
        cut.push('\n');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Declared> {
        Declared::parse(text, Path::new("/etc/microvm/host.toml"))
    }

    #[test]
    fn all_that_can_be_declared() {
        let text = "stateDir = \"/srv/vms\"\n\
            [vms.web]\nflake = \"./vms\"\nautostart = false\n\
            [vms.db]\nflake = \"github:o/r#db\"\nupdateFlake = \"github:o/r/stable\"\nrestartIfChanged = true\n\
            [vms.inline]\n[vms.inline.config]\nmem = 256\n[vms.inline.config.guest]\ndebian = {}\n";
        let declared = parse(text).unwrap();
        assert_eq!(declared.state_dir.as_deref(), Some(Path::new("/srv/vms")));
        let shown: Vec<String> = declared
            .vms
            .iter()
            .map(|vm| {
                let update = vm.update.as_ref().map_or("-", Origin::shown);
                format!(
                    "{} {} {update} {} {}",
                    vm.name,
                    vm.origin.shown(),
                    vm.autostart,
                    vm.restart_if_changed
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "db git+https://github.com/o/r git+https://github.com/o/r?ref=stable true true",
                "inline /etc/microvm/host.toml - true true",
                "web /etc/microvm/vms - false false",
            ]
        );
        let Origin::Inline(inline) = &declared.vms[1].origin else {
            panic!("it is defined there");
        };
        let lines: Vec<&str> = inline.text.lines().collect();
        assert_eq!(
            lines[9..],
            [
                "[vm.inline]",
                "mem = 256",
                "[vm.inline.guest]",
                "debian = {}"
            ]
        );
    }

    #[test]
    fn a_definition_that_cannot_be_cut_out_is_written_out() {
        let declared = parse("[vms]\nweb.config.mem = 256\n").unwrap();
        let Origin::Inline(inline) = &declared.vms[0].origin else {
            panic!("it is defined there");
        };
        let table: toml::Table = inline.text.parse().unwrap();
        assert_eq!(table["vm"]["web"]["mem"].as_integer(), Some(256));
    }

    #[rstest::rstest]
    #[case::unknown("[vms.web]\nflak = \"x\"", "unknown field `flak`")]
    #[case::nothing("[vms.web]", "says not what it runs")]
    #[case::both("[vms.web]\nflake = \".\"\nconfig = {}", "both")]
    #[case::update("[vms.web]\nconfig = {}\nupdateFlake = \".\"", "updateFlake")]
    #[case::name("[vms.\"../x\"]\nflake = \".\"", "no name of a VM")]
    #[case::other("[vms.web]\nflake = \".#db\"", "names the VM `db`")]
    #[case::state("stateDir = \"x\"", "absolute")]
    #[case::networks(
        "[networks.virbr0]",
        "`networks.virbr0.addresses`: a network needs one"
    )]
    #[case::network(
        "[vms.web]\nflake = \".\"\nnetwork = \"lan\"",
        "there is no network `lan`"
    )]
    fn what_is_wrong_is_said(#[case] text: &str, #[case] said: &str) {
        let error = parse(text).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
}
