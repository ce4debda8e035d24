//! From a text, TOML or JSON, to checked VMs.
//!
//! It collects everything that is wrong with every VM before it gives up. Relative paths that
//! the build reads are joined to the definition's directory; no path is looked at.

mod definition;
mod fleet;
mod locate;
mod unknown;
mod view;
mod walk;

use std::collections::HashMap;
use std::path::Path;

pub(crate) use definition::Definition;
pub use fleet::Fleet;
pub(crate) use view::View;

use crate::checks;
use crate::names::VmName;
use crate::options::closest;
use crate::place::Lines;
pub use crate::problem::{Kind, Problem, Problems};
use crate::tree::{Entry, Node, Offset, SyntaxError, Value, json, toml};
use crate::vm::{Arch, Vm};

/// Where a text is from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// As problems name it.
    pub file: &'a str,
    /// Where relative `kernel`, `guest.directory` and the like resolve.
    pub base_dir: &'a Path,
    pub host: HostDefaults,
}

/// What the host decides where a definition does not say.
#[derive(Clone, Copy, Debug)]
pub struct HostDefaults {
    pub arch: Arch,
    /// `None`: not known, and no amount is too much.
    pub mem_mib: Option<u64>,
    pub cpus: Option<u32>,
}

/// Checks beyond this crate's own, such as what a hypervisor cannot do: problems that name the
/// option that each is about.
pub type Further = fn(&Vm) -> Vec<Problem>;

const NOTHING_FURTHER: Further = |_| Vec::new();

/// Reads `[vm.NAME]` tables.
pub fn parse_toml(source: &Source<'_>, text: &str) -> Result<Fleet, Problems> {
    parse_toml_further(source, text, NOTHING_FURTHER)
}

/// The same, with further checks of every VM that can be made of what is written.
pub fn parse_toml_further(
    source: &Source<'_>,
    text: &str,
    further: Further,
) -> Result<Fleet, Problems> {
    let reading = Reading::new(*source, text, further);
    let root = toml::parse(text).map_err(|error| reading.syntax("TOML", error))?;
    reading.fleet(root)
}

/// Reads `{ "vm": { NAME: … } }`.
pub fn parse_json(source: &Source<'_>, text: &str) -> Result<Fleet, Problems> {
    parse_json_further(source, text, NOTHING_FURTHER)
}

/// The same, with further checks of every VM that can be made of what is written.
pub fn parse_json_further(
    source: &Source<'_>,
    text: &str,
    further: Further,
) -> Result<Fleet, Problems> {
    let reading = Reading::new(*source, text, further);
    let root = json::parse(text).map_err(|error| reading.syntax("JSON", error))?;
    reading.fleet(root)
}

/// Reads one `config.microvm` as JSON, itself or below `microvm`, as the VM of that name.
pub fn parse_json_vm(source: &Source<'_>, name: &str, text: &str) -> Result<Fleet, Problems> {
    let reading = Reading::new(*source, text, NOTHING_FURTHER);
    let root = json::parse(text).map_err(|error| reading.syntax("JSON", error))?;
    let vm = match root.get("microvm") {
        Some(inner) => inner.clone(),
        None => root,
    };
    reading.vms(vec![(name.to_owned(), 0, vm)])
}

/// A file's name and lines while it is read.
struct Reading<'a> {
    source: Source<'a>,
    lines: Lines,
    further: Further,
}

impl<'a> Reading<'a> {
    fn new(source: Source<'a>, text: &str, further: Further) -> Self {
        Self {
            source,
            further,
            lines: Lines::of(text),
        }
    }

    fn syntax(&self, language: &str, error: SyntaxError) -> Problems {
        let message = format!("Not {language}: {}", error.message);
        Problems::new(vec![self.problem(error.at, message).kind(Kind::Syntax)])
    }

    fn problem(&self, at: Offset, message: impl Into<String>) -> Problem {
        self.placed(
            at,
            Problem {
                message: message.into(),
                ..Problem::default()
            },
        )
    }

    fn placed(&self, at: Offset, problem: Problem) -> Problem {
        let (line, column) = self.lines.place(at);
        Problem {
            file: self.source.file.to_owned(),
            line,
            column,
            ..problem
        }
    }

    fn fleet(self, root: Node) -> Result<Fleet, Problems> {
        let mut problems = self.top_level(&root);
        let vms = match root.value {
            Value::Table(entries) => entries.into_iter().find(|entry| entry.key == "vm"),
            _ => None,
        };
        let vms = match vms.map(|entry| entry.node.value) {
            Some(Value::Table(entries)) => entries,
            _ => Vec::new(),
        };
        if vms.is_empty() && problems.is_empty() {
            problems.push(Problem {
                hint: Some("a VM is a table `[vm.NAME]`; `microvm init` writes one".to_owned()),
                ..self.problem(0, "No VM is defined here").kind(Kind::Missing)
            });
        }
        let vms = vms
            .into_iter()
            .map(|entry| (entry.key, entry.key_at, entry.node))
            .collect();
        match self.vms(vms) {
            Ok(fleet) if problems.is_empty() => Ok(fleet),
            Ok(_) => Err(Problems::new(problems)),
            Err(more) => Err(Problems::new(problems.into_iter().chain(more).collect())),
        }
    }

    /// What is wrong outside of the VMs.
    fn top_level(&self, root: &Node) -> Vec<Problem> {
        if !matches!(root.value, Value::Table(_)) {
            let message = format!("The definition is {}, not a table", root.kind());
            return vec![self.problem(root.at, message).kind(Kind::Type)];
        }
        let mut problems = Vec::new();
        for entry in root.entries() {
            match (entry.key.as_str(), &entry.node.value) {
                ("vm", Value::Table(_)) | ("$schema", Value::Text(_)) => {}
                ("vm", _) => {
                    let message = format!("`vm` is {}, not a table of VMs", entry.node.kind());
                    let problem = self.problem(entry.node.at, message).kind(Kind::Type);
                    problems.push(problem.hint("a VM is a table `[vm.NAME]`"));
                }
                _ => problems.push(self.unknown_top_level(entry)),
            }
        }
        problems
    }

    fn unknown_top_level(&self, entry: &Entry) -> Problem {
        let key = &entry.key;
        let near = closest(key, std::iter::once("vm"));
        let problem = self
            .problem(entry.key_at, format!("Unknown table or key `{key}`"))
            .kind(Kind::Unknown)
            .accepted("`vm`, the table of VMs")
            .nearest(near);
        match (crate::options::find(key), &entry.node.value) {
            (Some(opt), _) => {
                let name = opt.name;
                problem.hint(format!(
                    "`{name}` is an option of a VM: put it into `[vm.NAME]`"
                ))
            }
            (None, Value::Table(_)) if near.is_none() => {
                problem.hint(format!("a VM of this name is `[vm.{key}]`"))
            }
            _ => problem,
        }
    }

    /// Checks VMs, alone and together, and makes them where nothing is wrong.
    fn vms(self, vms: Vec<(String, Offset, Node)>) -> Result<Fleet, Problems> {
        let mut problems: Vec<Problem> = vms
            .iter()
            .flat_map(|(name, at, node)| self.of_form(name, *at, node))
            .collect();
        let definitions: Vec<Definition<'_>> = vms
            .iter()
            .map(|(name, _, node)| Definition::new(name, node, &self.source))
            .collect();
        let alone = definitions.iter().enumerate().flat_map(|(index, vm)| {
            let problems = checks::vm(vm).into_iter();
            problems.map(move |problem| (index, problem))
        });
        let of_sense = alone.chain(checks::fleet(&definitions));
        let mut said: HashMap<Option<&str>, Vec<&Problem>> = HashMap::new();
        for problem in &problems {
            said.entry(problem.vm.as_deref()).or_default().push(problem);
        }
        let is_news = |problem: &Problem| {
            let said = said.get(&problem.vm.as_deref());
            !said.is_some_and(|said| said.iter().any(|said| said.covers(problem)))
        };
        let of_sense: Vec<Problem> = of_sense
            .map(|(index, problem)| self.located(&vms[index].0, &vms[index].2, problem))
            .filter(is_news)
            .collect();
        problems.extend(of_sense);
        for (definition, (name, _, node)) in definitions.iter().zip(&vms) {
            // What cannot be made has been said to be wrong already.
            let Ok(vm) = crate::build::vm(definition) else {
                continue;
            };
            for problem in (self.further)(&vm) {
                let problem = self.located(name, node, problem);
                let is_said = |said: &Problem| {
                    said.vm == problem.vm
                        && (said.option == problem.option || said.covers(&problem))
                };
                if !problems.iter().any(is_said) {
                    problems.push(problem);
                }
            }
        }
        match problems.is_empty() {
            true => self.built(vms),
            false => Err(Problems::new(problems)),
        }
    }

    /// What is wrong with the name of a VM, and with the names and types in it.
    fn of_form(&self, name: &str, at: Offset, node: &Node) -> Vec<Problem> {
        let vm = Some(name.to_owned());
        let mut problems = Vec::new();
        if let Err(wrong) = VmName::try_from(name.to_owned()) {
            let message = match name {
                "" => "The empty string cannot be the name of a VM".to_owned(),
                _ => format!("`{}` cannot be the name of a VM", name.escape_debug()),
            };
            let problem = self.problem(at, message).kind(Kind::Value);
            problems.push(problem.accepted(wrong.accepted));
        }
        let in_it = walk::walk(node).into_iter();
        problems.extend(in_it.map(|(at, problem)| self.placed(at, problem)));
        for problem in &mut problems {
            problem.vm.clone_from(&vm);
        }
        problems
    }

    fn located(&self, name: &str, node: &Node, problem: Problem) -> Problem {
        let at = locate::locate(node, problem.option.as_deref().unwrap_or_default());
        self.placed(
            at,
            Problem {
                vm: Some(name.to_owned()),
                ..problem
            },
        )
    }

    fn built(self, vms: Vec<(String, Offset, Node)>) -> Result<Fleet, Problems> {
        let mut built = Vec::with_capacity(vms.len());
        let mut problems = Vec::new();
        for (name, _, node) in &vms {
            match crate::build::vm(&Definition::new(name, node, &self.source)) {
                Ok(vm) => built.push(vm),
                Err(problem) => problems.push(self.located(name, node, *problem)),
            }
        }
        if !problems.is_empty() {
            return Err(Problems::new(problems));
        }
        Ok(Fleet::new(built, vms, self.source.file, self.lines))
    }
}
