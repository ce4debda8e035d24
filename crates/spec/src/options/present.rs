//! Options as people and programs read them.

use serde_json::{Value as Json, json};

use super::{Opt, Scope};
use crate::vm::Hypervisor;

impl Opt {
    /// For `--json`.
    pub fn to_json(&self) -> Json {
        json!({
            "name": self.name,
            "type": self.type_text(),
            "default": self.default.to_string(),
            "meaning": self.meaning,
            "hypervisors": self.hypervisors(),
            "nixOnly": self.scope == Scope::Nix,
            "example": self.example,
        })
    }

    /// Everything about one option, on several lines.
    pub fn explained(&self) -> String {
        let mut lines = vec![
            self.name.to_owned(),
            format!("  {}", self.meaning),
            String::new(),
            format!("  type:     {}", self.type_text()),
            format!("  default:  {}", self.default),
            format!("  example:  {} = {}", self.leaf(), self.example),
        ];
        match self.scope {
            Scope::Every => {}
            Scope::Only(hypervisors) => {
                let names: Vec<&str> = hypervisors.iter().map(|h| h.as_str()).collect();
                lines.push(format!("  only:     {}", names.join(", ")));
            }
            Scope::Nix => {
                lines.push("  only:     the Nix side; without effect in a file".to_owned())
            }
        }
        if self.takes_false_for_null() {
            lines.push("  none:     `false` in TOML, null in JSON".to_owned());
        }
        lines.join("\n")
    }

    /// TOML has no null; where null is a value of its own, `false` stands for it.
    pub(crate) fn takes_false_for_null(&self) -> bool {
        self.nullable && self.default != super::Default::Null
    }

    fn type_text(&self) -> String {
        match self.nullable {
            true => format!("null or {}", self.kind),
            false => self.kind.to_string(),
        }
    }

    fn hypervisors(&self) -> Vec<&'static str> {
        let names = |hypervisors: &[Hypervisor]| hypervisors.iter().map(|h| h.as_str()).collect();
        match self.scope {
            Scope::Every => names(&Hypervisor::ALL),
            Scope::Only(hypervisors) => names(hypervisors),
            Scope::Nix => Vec::new(),
        }
    }
}

/// Name, type and default of each option with its meaning below, in aligned columns.
pub fn table(options: &[&Opt]) -> String {
    let rows: Vec<[String; 3]> = options
        .iter()
        .map(|opt| {
            [
                opt.name.to_owned(),
                opt.type_text(),
                opt.default.to_string(),
            ]
        })
        .collect();
    let width = |column: usize| {
        let header = ["option", "type", "default"][column].len();
        rows.iter()
            .map(|row| row[column].len().min(40))
            .fold(header, usize::max)
    };
    let (name, kind) = (width(0), width(1));
    let mut out = format!("{:name$}  {:kind$}  {}\n", "option", "type", "default");
    for (row, opt) in rows.iter().zip(options) {
        let line = format!("{:name$}  {:kind$}  {}", row[0], row[1], row[2]);
        out.push_str(line.trim_end());
        out.push_str(&format!("\n    {}\n", opt.meaning));
    }
    out
}
