//! What an option is where it is not given.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    Required,
    /// Required in some cases, which the text names: `where autoCreate is true`.
    RequiredIf(&'static str),
    Null,
    Bool(bool),
    Int(i64),
    Text(&'static str),
    List(&'static [&'static str]),
    EmptyTable,
    /// Depends on other things, which the text names.
    Computed(&'static str),
}

/// As Nix writes values; JSON differs in the lists only.
impl fmt::Display for Default {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("required"),
            Self::RequiredIf(case) => write!(f, "required {case}"),
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::List([]) => f.write_str("[ ]"),
            Self::List(items) => {
                f.write_str("[")?;
                items.iter().try_for_each(|item| write!(f, " \"{item}\""))?;
                f.write_str(" ]")
            }
            Self::EmptyTable => f.write_str("{ }"),
            Self::Computed(how) => write!(f, "({how})"),
        }
    }
}

impl Default {
    /// The value, where it is a plain one.
    pub fn to_json(self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match self {
            Self::Required | Self::RequiredIf(_) | Self::Computed(_) => return None,
            Self::Null => Json::Null,
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::Text(text) => text.into(),
            Self::List(items) => items.into(),
            Self::EmptyTable => Json::Object(serde_json::Map::new()),
        })
    }
}
