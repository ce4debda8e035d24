//! What this host can do, what is missing for more, and the command that mends it. Looks; what is
//! to be changed, other commands do.

mod host_side;
mod vms;

use std::path::PathBuf;
use std::process::Command;

use host::fleet::Fleet;
use serde_json::{Value, json};

use crate::places::Places;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    Good,
    /// Nothing is broken; something more would be possible.
    Could,
    /// VMs do not do here what they are to.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub what: String,
    pub grade: Grade,
    pub message: String,
    /// What mends it, as arguments: no shell reads them. Empty where nothing does by itself.
    pub command: Vec<String>,
}

impl Finding {
    fn good(what: &str, message: impl Into<String>) -> Self {
        Self::new(what, Grade::Good, message)
    }

    fn could(what: &str, message: impl Into<String>) -> Self {
        Self::new(what, Grade::Could, message)
    }

    fn wrong(what: &str, message: impl Into<String>) -> Self {
        Self::new(what, Grade::Wrong, message)
    }

    fn new(what: &str, grade: Grade, message: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            grade,
            message: message.into(),
            command: Vec::new(),
        }
    }

    fn mended_by<S: Into<String>>(mut self, command: impl IntoIterator<Item = S>) -> Self {
        self.command = command.into_iter().map(Into::into).collect();
        self
    }

    /// The command as a person types it.
    pub fn typed(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./@:=+,".contains(c);
        let typed = self
            .command
            .iter()
            .map(|word| match word.chars().all(is_plain) {
                true => word.clone(),
                false => format!("'{}'", word.replace('\'', "'\\''")),
            });
        typed.collect::<Vec<_>>().join(" ")
    }

    pub fn to_json(&self) -> Value {
        json!({
            "what": self.what,
            "state": match self.grade {
                Grade::Good => "good",
                Grade::Could => "could",
                Grade::Wrong => "wrong",
            },
            "message": self.message,
            "command": (!self.command.is_empty()).then_some(&self.command),
        })
    }

    /// Runs the command; its words go where ours go that are no data.
    pub fn mend(&self) -> Result<(), String> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err("nothing mends it by itself".to_owned());
        };
        let own = std::env::current_exe()
            .ok()
            .filter(|_| program == "microvm");
        let program = match own {
            Some(own) => own,
            None => find(program)?,
        };
        let status = Command::new(program)
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .stdout(std::io::stderr())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Where PATH leads, or where every host has its own.
fn find(program: &str) -> Result<PathBuf, String> {
    let found = host::program::find(program);
    let system = ["/usr/bin", "/bin"].map(PathBuf::from);
    found.or_else(|missing| {
        host::program::find_in(program, &system).ok_or_else(|| missing.to_string())
    })
}

/// Looks at everything.
pub fn look(fleet: &Fleet) -> Vec<Finding> {
    let host = host::probe::Host::here(Places::of_this_user().cache);
    let mut findings = vec![host_side::kvm(&host)];
    findings.extend(host_side::devices(&host));
    findings.push(host_side::hypervisors(&host));
    findings.extend(host_side::programs());
    findings.extend(host_side::user());
    findings.extend(host_side::units(fleet));
    findings.extend(vms::state(fleet));
    findings
}

/// What a package manager is told, on hosts that have Debian's.
fn install(package: &str) -> Vec<String> {
    ["apt-get", "install", "-y", package]
        .map(str::to_owned)
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        let finding = Finding::wrong("x", "y").mended_by(["rm", "--", "/a b/it's"]);
        assert_eq!(finding.typed(), "rm -- '/a b/it'\\''s'");
    }

    #[test]
    fn what_nothing_mends_is_not_said_to_be_mended() {
        assert!(Finding::wrong("x", "y").mend().is_err());
        assert!(
            Finding::wrong("x", "y")
                .mended_by(["false"])
                .mend()
                .is_err()
        );
        assert!(Finding::wrong("x", "y").mended_by(["true"]).mend().is_ok());
    }
}
