//! Which VMs there are: those installed on the host, and those that `microvm run` runs.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use backend::control::Control;
use host::fleet::{Fleet, Member};
use host::lock::RunLock;
use host::sample::{Holder, Kernel};
use spec::names::VmName;

use crate::runner::Runner;

/// Where a VM belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the state directory of the host, which is above its own.
    Installed,
    /// In a directory of this user's, for as long as it runs.
    Run,
    /// The same, of another user's.
    Strange,
}

/// A VM as its files tell of it.
#[derive(Clone, Debug)]
pub struct Vm {
    pub name: VmName,
    pub dir: PathBuf,
    pub place: Place,
    pub runs: bool,
    pub pid: Option<u32>,
    pub package: Facts,
    /// Why it cannot be read.
    pub broken: Option<String>,
    /// Whether what runs is not what the next start runs.
    pub behind: bool,
}

/// What its package says of a VM.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub hypervisor: Option<String>,
    /// Those of the host that are the VM's alone.
    pub interfaces: Vec<String>,
    pub control: Option<Control>,
}

/// Finds them again and again; what packages say is read once.
pub struct Finder {
    fleet: Fleet,
    known: HashMap<(PathBuf, PathBuf), Facts>,
}

impl Finder {
    pub fn new(fleet: Fleet) -> Self {
        let known = HashMap::new();
        Self { fleet, known }
    }

    /// All of them by name; an error where the state directory cannot be read.
    pub fn find(&mut self, kernel: &Kernel) -> Result<Vec<Vm>, host::fleet::Error> {
        let before = std::mem::take(&mut self.known);
        let mut vms = Vec::new();
        for name in self.fleet.names()? {
            vms.push(self.installed(name, &before));
        }
        let installed: HashSet<u32> = vms.iter().filter_map(|vm| vm.pid).collect();
        let elsewhere = kernel.holders().into_iter();
        let elsewhere = elsewhere.filter(|holder| !installed.contains(&holder.pid));
        for holder in elsewhere.filter(Self::holds) {
            vms.push(self.run(holder, &before));
        }
        vms.sort_by(|a, b| (&a.name, &a.dir).cmp(&(&b.name, &b.dir)));
        Ok(vms)
    }

    fn installed(&mut self, name: VmName, before: &Known) -> Vm {
        let dir = self.fleet.dir_of(&name);
        let (member, broken) = match self.fleet.member(&name) {
            Ok(member) => (Some(member), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let runs = member.as_ref().is_some_and(|member| member.runs);
        let package = member.as_ref().map(|member| {
            let package = member.in_use().path();
            self.facts(package, &dir, before, || of_package(package, &dir))
        });
        Vm {
            pid: runs.then(|| self.fleet.pid(&name)).flatten(),
            behind: member.as_ref().is_some_and(Member::is_behind),
            package: package.unwrap_or_default(),
            place: Place::Installed,
            runs,
            broken,
            name,
            dir,
        }
    }

    /// What a process inherited from the hypervisor does not make it one.
    fn holds(holder: &Holder) -> bool {
        RunLock::holder(&holder.dir, &holder.vm) == Some(holder.pid)
    }

    fn run(&mut self, holder: Holder, before: &Known) -> Vm {
        let (dir, name) = (holder.dir, holder.vm);
        // Who writes a lock says where its package and its sockets are, and which program speaks
        // to them: that is for their own user to follow.
        let is_own = holder.uid == nix::unistd::geteuid().as_raw();
        let package = RunLock::package(&dir, &name).filter(|_| is_own);
        let read = |package: &Path| Facts {
            control: RunLock::described(&dir, &name),
            ..of_layout(package)
        };
        let facts = package.map(|package| self.facts(&package, &dir, before, || read(&package)));
        Vm {
            package: facts.unwrap_or_default(),
            place: if is_own { Place::Run } else { Place::Strange },
            runs: true,
            pid: Some(holder.pid),
            broken: None,
            behind: false,
            name,
            dir,
        }
    }

    fn facts(
        &mut self,
        package: &Path,
        dir: &Path,
        before: &Known,
        read: impl FnOnce() -> Facts,
    ) -> Facts {
        let key = (package.to_owned(), dir.to_owned());
        let facts = before.get(&key).cloned().unwrap_or_else(read);
        self.known.insert(key, facts.clone());
        facts
    }
}

type Known = HashMap<(PathBuf, PathBuf), Facts>;

fn of_package(package: &Path, dir: &Path) -> Facts {
    let runner = Runner::in_directory(package, dir).ok();
    Facts {
        control: runner.map(|runner| runner.control()),
        ..of_layout(package)
    }
}

/// Packages of other programs have these files as well.
fn of_layout(package: &Path) -> Facts {
    let read = |name| std::fs::read_to_string(package.join("share/microvm").join(name));
    let lines = |name| read(name).unwrap_or_default();
    let interfaces = [lines("tap-interfaces"), lines("macvtap-interfaces")];
    let ids = interfaces.iter().flat_map(|text| text.lines());
    // Of a macvtap the identifier comes first.
    let ids = ids.filter_map(|line| Some(line.split_whitespace().next()?.to_owned()));
    let hypervisor = lines("hypervisor").trim().to_owned();
    Facts {
        interfaces: ids.filter(|id| !id.contains('/')).collect(),
        hypervisor: Some(hypervisor).filter(|name| !name.is_empty()),
        control: None,
    }
}
