//! `microvm list`: the VMs of this host, and what would mend each.

use std::path::Path;
use std::process::ExitCode;

use host::fleet::{Fleet, Member, Version};
use spec::names::VmName;

use crate::difference::Difference;
use crate::error::Result;
use crate::fleet::StateDir;
use crate::installation::Origin;
use crate::places::Places;

/// List the VMs of this host: what runs, what is current, and what mends the difference
#[derive(clap::Args)]
pub struct Args {
    /// Compare with the sources, without building anything
    #[arg(long)]
    check: bool,

    /// Print as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    state: StateDir,
}

/// One VM, or why it cannot be read.
struct Row {
    name: VmName,
    member: std::result::Result<Member, String>,
    /// What its source would change; `None` where that was not asked.
    newer: Option<std::result::Result<Difference, String>>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let fleet = self.state.open()?;
        let places = Places::of_this_user();
        let names = fleet.names()?;
        if self.check {
            prepare(&fleet, &names, &places);
        }
        let rows: Vec<Row> = names
            .into_iter()
            .map(|name| Row::read(&fleet, name, self.check.then_some(&places)))
            .collect();
        if self.json {
            let rows: Vec<serde_json::Value> = rows.iter().map(Row::json).collect();
            println!("{:#}", serde_json::Value::Array(rows));
        } else {
            print(&rows, fleet.dir());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What several VMs share is evaluated once.
fn prepare(fleet: &Fleet, names: &[VmName], places: &Places) {
    let origin = |name: &VmName| {
        let source = fleet.member(name).ok()?.source?;
        Some((name.clone(), Origin::kept(&source).ok()?))
    };
    let origins: Vec<_> = names.iter().filter_map(origin).collect();
    Origin::prepare(&origins, places);
}

impl Row {
    fn read(fleet: &Fleet, name: VmName, check: Option<&Places>) -> Self {
        let member = fleet.member(&name).map_err(|error| error.to_string());
        let newer = match (check, &member) {
            (Some(places), Ok(member)) => compare(member, places),
            _ => None,
        };
        Self {
            name,
            member,
            newer,
        }
    }

    fn state(&self) -> &'static str {
        match &self.member {
            Ok(member) if member.runs => "running",
            Ok(_) => "stopped",
            Err(_) => "broken",
        }
    }

    /// What is not as it should be, and the command that mends it.
    fn trouble(&self) -> Option<(String, Option<String>)> {
        let name = &self.name;
        let member = match &self.member {
            Ok(member) => member,
            Err(error) => return Some((error.clone(), None)),
        };
        if let Some(verb) = member.unfinished {
            let mend = format!("sudo microvm list --state-dir {}", shown_dir(member));
            return Some((format!("{} is not finished", verb.noun()), Some(mend)));
        }
        let update = if member.managed {
            "microvm apply".to_owned()
        } else {
            format!("microvm update {name}")
        };
        if let Version::Gone(path) = &member.current {
            let gone = format!("its package `{}` is gone", path.display());
            return Some((gone, Some(update)));
        }
        if member.is_behind() {
            let restart = format!("microvm restart {name}");
            return Some(("runs another version".to_owned(), Some(restart)));
        }
        match self.newer.as_ref()? {
            Ok(difference) if difference.is_empty() => None,
            Ok(difference) => {
                let sorts = difference.sorts();
                Some((format!("its source has other {sorts}"), Some(update)))
            }
            Err(error) => Some((error.clone(), None)),
        }
    }

    fn json(&self) -> serde_json::Value {
        let trouble = self.trouble();
        let member = self.member.as_ref().ok();
        let path = |version: Option<&Version>| version.map(|version| version.path().to_owned());
        let newer = self.newer.as_ref().and_then(|newer| newer.as_ref().ok());
        serde_json::json!({
            "name": self.name,
            "state": self.state(),
            "current": path(member.map(|member| &member.current)),
            "booted": path(member.and_then(|member| member.booted.as_ref())),
            "old": path(member.and_then(|member| member.old.as_ref())),
            "source": member.and_then(|member| member.source.as_ref()),
            "managed": member.map(|member| member.managed),
            "autostart": member.map(|member| member.autostart),
            "behind": member.map(Member::is_behind),
            "newer": newer.map(|difference| !difference.is_empty()),
            "difference": newer.map(Difference::json),
            "problem": trouble.as_ref().map(|(problem, _)| problem),
            "mend": trouble.as_ref().and_then(|(_, mend)| mend.as_ref()),
        })
    }
}

fn shown_dir(member: &Member) -> String {
    let fleet = member.dir.parent().unwrap_or(Path::new("/"));
    fleet.display().to_string()
}

/// `None` for one whose source is not known.
fn compare(member: &Member, places: &Places) -> Option<std::result::Result<Difference, String>> {
    let source = member.source.as_ref()?;
    let difference = Origin::kept(source)
        .and_then(|origin| origin.difference(&member.name, member.current.path(), places));
    Some(difference.map_err(|error| error.to_string()))
}

fn print(rows: &[Row], dir: &Path) {
    if rows.is_empty() {
        eprintln!("No VM is installed in `{}`", dir.display());
        eprintln!("hint: `microvm create NAME` installs one");
        return;
    }
    let width = |longest: Option<usize>, heading: &str| longest.unwrap_or(0).max(heading.len());
    let names = width(rows.iter().map(|row| row.name.len()).max(), "NAME");
    println!("{:names$}  STATE    STARTS  VERSION   SOURCE", "NAME");
    for row in rows {
        let member = row.member.as_ref().ok();
        let starts = match member {
            Some(member) if member.autostart => "auto",
            _ => "-",
        };
        let version = member.map_or("-".to_owned(), |member| short(member.current.path()));
        let source = member.and_then(|member| member.source.as_deref());
        let (name, state, source) = (&*row.name, row.state(), source.unwrap_or("-"));
        println!("{name:names$}  {state:7}  {starts:6}  {version:8}  {source}");
    }
    for row in rows {
        match row.trouble() {
            None => {}
            Some((trouble, Some(mend))) => eprintln!("hint: {}: {trouble}; `{mend}`", row.name),
            Some((trouble, None)) => eprintln!("hint: {}: {trouble}", row.name),
        }
    }
}

/// The beginning of a store path's hash, which tells versions apart.
fn short(package: &Path) -> String {
    let name = package.file_name().unwrap_or_default().to_string_lossy();
    name.chars().take(8).collect()
}
