//! What stands beside the VMs, where nothing should.

use super::Reading;
use crate::options::closest;
use crate::problem::{Kind, Problem};
use crate::tree::{Entry, Node, Value};

impl Reading<'_> {
    /// What is wrong outside of the VMs.
    pub(super) fn top_level(&self, root: &Node) -> Vec<Problem> {
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
}
