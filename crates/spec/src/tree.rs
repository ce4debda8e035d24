//! A definition as it was written: values, each with its place in the text.
//!
//! It knows no option; what the values mean is for [`crate::read`] to say.

pub mod json;
pub mod toml;

/// Byte offset in the text.
pub type Offset = usize;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub at: Offset,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// A number that is no 64-bit integer, as written.
    Other(String),
    /// TOML only, as written.
    Date(String),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_at: Offset,
    pub node: Node,
}

/// Why a text is neither TOML nor JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct SyntaxError {
    pub at: Offset,
    pub message: String,
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Of a table; nothing of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// Of a list; nothing of anything else.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// What it is called in a message: `a string`.
    pub fn kind(&self) -> &'static str {
        let is_digit = |b: u8| b.is_ascii_digit();
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "a number",
            Value::Other(text) if text.trim_start_matches('-').bytes().all(is_digit) => {
                "a number that is too large"
            }
            Value::Other(_) => "a number that is no integer",
            Value::Date(_) => "a date",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The value on one line, for a message; long ones are cut.
    pub fn shown(&self) -> String {
        let text = match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Other(text) | Value::Date(text) | Value::Text(text) => {
                text.escape_debug().to_string()
            }
            Value::List(items) => format!("[ {} items ]", items.len()),
            Value::Table(entries) => format!("{{ {} entries }}", entries.len()),
        };
        match text.char_indices().nth(80) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    /// The same in JSON, without the places.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::from(*value),
            Value::Int(value) => Json::from(*value),
            Value::Other(text) => text
                .parse::<f64>()
                .map_or_else(|_| text.as_str().into(), Json::from),
            Value::Text(text) | Value::Date(text) => Json::from(text.as_str()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Table(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect(),
        }
    }
}
