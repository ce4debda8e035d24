//! From a text, TOML or JSON, to checked VMs.
//!
//! It collects everything that is wrong with every VM before it gives up. Relative paths that
//! the build reads are joined to the definition's directory; no path is looked at.

mod definition;
mod fleet;
mod locate;
mod top_level;
mod unknown;
mod view;
mod walk;

use std::collections::{HashMap, HashSet};
use std::path::Path;

pub(crate) use definition::Definition;
pub use fleet::Fleet;
pub(crate) use view::View;

use crate::build::Built;
use crate::checks;
use crate::names::VmName;
use crate::place::Lines;
pub use crate::problem::{Kind, Problem, Problems};
use crate::tree::{Node, Offset, SyntaxError, Value, json, toml};
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

/// Everything that a definition says, right and wrong.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Those without problems of their own.
    pub sound: Fleet,
    /// The names of all, in the order of the file.
    pub declared: Vec<String>,
    pub problems: Problems,
}

impl Checked {
    /// The VMs where nothing at all is wrong.
    pub fn all(self) -> Result<Fleet, Problems> {
        match self.problems.is_empty() {
            true => Ok(self.sound),
            false => Err(self.problems),
        }
    }
}

/// Reads `[vm.NAME]` tables.
pub fn parse_toml(source: &Source<'_>, text: &str) -> Result<Fleet, Problems> {
    check_toml(source, text, NOTHING_FURTHER).all()
}

/// The same, with further checks of every VM that can be made of what is written.
pub fn check_toml(source: &Source<'_>, text: &str, further: Further) -> Checked {
    let reading = Reading::new(*source, text, further);
    match toml::parse(text) {
        Ok(root) => reading.fleet(root),
        Err(error) => reading.syntax("TOML", error),
    }
}

/// Reads `{ "vm": { NAME: … } }`.
pub fn parse_json(source: &Source<'_>, text: &str) -> Result<Fleet, Problems> {
    check_json(source, text, NOTHING_FURTHER).all()
}

/// The same, with further checks of every VM that can be made of what is written.
pub fn check_json(source: &Source<'_>, text: &str, further: Further) -> Checked {
    let reading = Reading::new(*source, text, further);
    match json::parse(text) {
        Ok(root) => reading.fleet(root),
        Err(error) => reading.syntax("JSON", error),
    }
}

/// Reads one `config.microvm` as JSON, itself or below `microvm`, as the VM of that name.
pub fn parse_json_vm(source: &Source<'_>, name: &str, text: &str) -> Result<Fleet, Problems> {
    check_json_vm(source, name, text, NOTHING_FURTHER).all()
}

/// The same, with all that is wrong, and with further checks.
pub fn check_json_vm(source: &Source<'_>, name: &str, text: &str, further: Further) -> Checked {
    let reading = Reading::new(*source, text, further);
    let root = match json::parse(text) {
        Ok(root) => root,
        Err(error) => return reading.syntax("JSON", error),
    };
    let vm = match root.get("microvm") {
        Some(inner) => inner.clone(),
        None => root,
    };
    reading.vms(vec![(name.to_owned(), 0, vm)], Vec::new())
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

    fn syntax(self, language: &str, error: SyntaxError) -> Checked {
        let message = format!("Not {language}: {}", error.message);
        let problem = self.problem(error.at, message).kind(Kind::Syntax);
        self.vms(Vec::new(), vec![problem])
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

    fn fleet(self, root: Node) -> Checked {
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
        self.vms(vms, problems)
    }

    /// Checks VMs, alone and together, and makes those where nothing is wrong; `problems` are
    /// known already, of no VM in particular.
    fn vms(self, vms: Vec<(String, Offset, Node)>, mut problems: Vec<Problem>) -> Checked {
        let of_form = vms
            .iter()
            .flat_map(|(name, at, node)| self.of_form(name, *at, node));
        problems.extend(of_form);
        let definitions: Vec<Definition<'_>> = vms
            .iter()
            .map(|(name, _, node)| Definition::new(name, node, &self.source))
            .collect();
        let of_sense = self.of_sense(&definitions, &vms, &problems);
        problems.extend(of_sense);
        let made: Vec<Built<Vm>> = definitions.iter().map(crate::build::vm).collect();
        // What cannot be made has been said to be wrong already.
        for (vm, (name, _, node)) in made.iter().zip(&vms) {
            for problem in vm.iter().flat_map(self.further) {
                let problem = self.located(name, node, problem);
                if !problems.iter().any(|said| says_as_well(said, &problem)) {
                    problems.push(problem);
                }
            }
        }
        self.checked(made, vms, problems)
    }

    /// What is wrong with what options say together, where nobody has `said` so already.
    fn of_sense(
        &self,
        definitions: &[Definition<'_>],
        vms: &[(String, Offset, Node)],
        said: &[Problem],
    ) -> Vec<Problem> {
        let mut said_of: HashMap<Option<&str>, Vec<&Problem>> = HashMap::new();
        for problem in said {
            let of_vm = said_of.entry(problem.vm.as_deref()).or_default();
            of_vm.push(problem);
        }
        let is_news = |problem: &Problem| {
            let said = said_of.get(&problem.vm.as_deref());
            !said.is_some_and(|said| said.iter().any(|said| said.covers(problem)))
        };
        let alone = definitions.iter().enumerate().flat_map(|(index, vm)| {
            let problems = checks::vm(vm).into_iter();
            problems.map(move |problem| (index, problem))
        });
        alone
            .chain(checks::fleet(definitions))
            .map(|(index, problem)| self.located(&vms[index].0, &vms[index].2, problem))
            .filter(is_news)
            .collect()
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

    fn checked(
        self,
        made: Vec<Built<Vm>>,
        vms: Vec<(String, Offset, Node)>,
        mut problems: Vec<Problem>,
    ) -> Checked {
        let wrong: HashSet<String> = problems.iter().filter_map(|one| one.vm.clone()).collect();
        let mut sound = Vec::with_capacity(vms.len());
        for (vm, (name, _, node)) in made.into_iter().zip(&vms) {
            match vm {
                _ if wrong.contains(name) => {}
                Ok(vm) => sound.push(vm),
                Err(problem) => problems.push(self.located(name, node, *problem)),
            }
        }
        Checked {
            sound: sound.into_iter().collect(),
            declared: vms.into_iter().map(|(name, _, _)| name).collect(),
            problems: Problems::new(problems),
        }
    }
}

/// Whether a problem of the same VM is about the same option, or makes another one of it moot.
fn says_as_well(said: &Problem, problem: &Problem) -> bool {
    said.vm == problem.vm && (said.option == problem.option || said.covers(problem))
}
