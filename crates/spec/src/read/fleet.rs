//! The VMs of a definition, and where their options stand in the file.

use std::collections::BTreeMap;

use super::locate;
use crate::names::VmName;
use crate::place::Lines;
use crate::problem::{Kind, Problem};
use crate::tree::{Node, Offset};
use crate::vm::Vm;

/// Checked VMs by name.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub vms: BTreeMap<VmName, Vm>,
    file: String,
    lines: Lines,
    written: BTreeMap<String, Node>,
}

impl Fleet {
    pub(super) fn new(
        built: Vec<Vm>,
        written: Vec<(String, Offset, Node)>,
        file: &str,
        lines: Lines,
    ) -> Self {
        Self {
            vms: built.into_iter().map(|vm| (vm.name.clone(), vm)).collect(),
            file: file.to_owned(),
            lines,
            written: written
                .into_iter()
                .map(|(name, _, node)| (name, node))
                .collect(),
        }
    }

    /// What a hypervisor cannot do, at an option of a VM, such as `shares[0].proto`; where the
    /// option is not written, at what would hold it.
    pub fn problem_at(&self, vm: &VmName, option_path: &str, message: String) -> Problem {
        let at = self
            .written
            .get(&**vm)
            .map_or(0, |node| locate::locate(node, option_path));
        let (line, column) = self.lines.place(at);
        Problem {
            file: self.file.clone(),
            line,
            column,
            kind: Kind::Unsupported,
            vm: Some(vm.to_string()),
            ..Problem::about(option_path, message)
        }
    }
}
