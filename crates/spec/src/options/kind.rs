//! What values an option takes.

use std::fmt;

use serde_json::{Value as Json, json};

use super::form::Form;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    /// Both bounds are accepted.
    Int {
        min: i64,
        max: i64,
    },
    Text(Form),
    OneOf(&'static [&'static str]),
    List(&'static Self),
    /// Names of the user's own, each with a value.
    Map {
        keys: Form,
        values: &'static Self,
    },
    /// What is in it are options of their own.
    Table,
    /// A table whose content is someone else's.
    Json,
    /// Not looked at.
    Anything,
    Either(&'static [Self]),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("boolean"),
            Self::Int { min, max } => write!(f, "integer from {min} to {max}"),
            Self::Text(form) => f.write_str(match form {
                Form::Lines => "text",
                Form::HostPath | Form::AbsolutePath | Form::GuestPath | Form::SocketPath => "path",
                _ => "string",
            }),
            Self::OneOf(words) => write!(f, "one of {}", quoted(words)),
            Self::List(Self::Table) => f.write_str("list of tables"),
            Self::List(items) => write!(f, "list of {items}s"),
            Self::Map {
                values: Self::Table,
                ..
            } => f.write_str("table of tables"),
            Self::Map { values, .. } => write!(f, "table of {values}s"),
            Self::Table => f.write_str("table"),
            Self::Json => f.write_str("table of anything"),
            Self::Anything => f.write_str("anything"),
            Self::Either(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                f.write_str(&kinds.join(" or "))
            }
        }
    }
}

impl Type {
    /// What would be right, as a noun phrase for a message.
    pub fn accepted(self) -> String {
        match self {
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Int { min, max } => format!("a number from {min} to {max}"),
            Self::Text(form) => form.accepted().to_owned(),
            Self::OneOf(words) => listed(words),
            Self::List(Self::Table) => "a list of tables".to_owned(),
            Self::List(items) => format!("a list, of which each is {}", items.accepted()),
            Self::Map { .. } | Self::Table | Self::Json => "a table".to_owned(),
            Self::Anything => "anything".to_owned(),
            Self::Either(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(|kind| kind.accepted()).collect();
                kinds.join("; or ")
            }
        }
    }

    /// JSON schema, without what is known of the members of tables.
    pub fn schema(self) -> Json {
        match self {
            Self::Bool => json!({ "type": "boolean" }),
            Self::Int { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Self::Text(_) => json!({ "type": "string" }),
            Self::OneOf(words) => json!({ "enum": words }),
            Self::List(items) => json!({ "type": "array", "items": items.schema() }),
            Self::Map { values, .. } => {
                json!({ "type": "object", "additionalProperties": values.schema() })
            }
            Self::Table | Self::Json => json!({ "type": "object" }),
            Self::Anything => json!({}),
            Self::Either(kinds) => {
                let kinds: Vec<Json> = kinds.iter().map(|kind| kind.schema()).collect();
                json!({ "anyOf": kinds })
            }
        }
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    words.join(", ")
}

/// `` `a`, `b` or `c` ``
fn listed(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.join(""),
    }
}
