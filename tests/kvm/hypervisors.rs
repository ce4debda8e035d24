//! Which hypervisors there are, by the program's own word.

use std::path::PathBuf;
use std::process::Command;

use harness::{Outcome, host};
use serde_json::Value;

/// One that the program knows.
#[derive(Clone, Debug)]
pub struct Hypervisor {
    pub name: String,
    /// `None` where this machine lacks it, and for what is built in.
    pub program: Option<PathBuf>,
    is_there: bool,
    has_backend: bool,
    features: Value,
}

pub fn all() -> Outcome<Vec<Hypervisor>> {
    let printed = host::output(Command::new(host::microvm()).args(["hypervisors", "--json"]))?;
    let rows: Vec<Value> = serde_json::from_str(&printed)?;
    let read = |row: &Value| {
        let name = row["hypervisor"].as_str()?.to_owned();
        Some(Hypervisor {
            name,
            program: row["program"].as_str().map(PathBuf::from),
            is_there: row["version"].is_string(),
            has_backend: row["backend"].as_bool()?,
            features: row["features"].clone(),
        })
    };
    let read = rows.iter().map(read).collect::<Option<Vec<_>>>();
    Ok(read.ok_or_else(|| format!("`microvm hypervisors --json` printed {printed}"))?)
}

impl Hypervisor {
    /// Why it cannot be tried, if so.
    pub fn absent(&self) -> Option<String> {
        if !self.has_backend {
            return Some("it has no backend".to_owned());
        }
        (!self.is_there).then(|| "it is neither on PATH nor in MICROVM_HYPERVISORS".to_owned())
    }

    /// Whether the table says that this version has a feature.
    pub fn has(&self, feature: &str) -> bool {
        match &self.features[feature] {
            Value::Bool(has) => *has,
            // Those that only newer versions have are tried with the version that has them.
            Value::Object(_) => false,
            _ => panic!("the table of features has no `{feature}`"),
        }
    }
}
