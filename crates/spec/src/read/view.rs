//! A written value seen through the table of options: what is absent has its default.

use std::path::PathBuf;

use crate::options::shape::Shape;
use crate::options::{Default, Opt};
use crate::tree::{Node, Value};

/// A value of the wrong type reads as absent here; the walk has reported it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    node: Option<&'a Node>,
    shape: &'static Shape,
}

impl<'a> View<'a> {
    pub fn new(node: &'a Node, shape: &'static Shape) -> Self {
        Self {
            node: Some(node),
            shape,
        }
    }

    /// A member by name; a path of names goes deeper.
    pub fn at(self, path: &str) -> Self {
        path.split('.').fold(self, |view, name| {
            let shape = view.shape.member(name);
            debug_assert!(shape.is_some(), "the table has no `{path}`");
            Self {
                node: view.node.and_then(|node| node.get(name)),
                shape: shape.unwrap_or(view.shape),
            }
        })
    }

    /// The elements of a list of tables.
    pub fn items(self, path: &str) -> impl ExactSizeIterator<Item = Self> + use<'a> {
        let list = self.at(path);
        let shape = list.shape.each().unwrap_or(list.shape);
        let items = list.node.map_or(&[][..], Node::items);
        items.iter().map(move |node| Self::new(node, shape))
    }

    /// The members of a table of tables.
    pub fn members(self, path: &str) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let table = self.at(path);
        let shape = table.shape.each().unwrap_or(table.shape);
        let entries = table.node.map_or(&[][..], Node::entries);
        entries
            .iter()
            .map(move |entry| (entry.key.as_str(), Self::new(&entry.node, shape)))
    }

    /// Whether a value is written that is not null.
    pub fn is_set(self, path: &str) -> bool {
        self.at(path).written().is_some()
    }

    /// Whether nothing is written, or null, or a list or table without members.
    pub fn is_empty(self) -> bool {
        match self.written() {
            None => true,
            Some(Value::List(items)) => items.is_empty(),
            Some(Value::Table(entries)) => entries.is_empty(),
            Some(_) => false,
        }
    }

    /// Whether anything is written, null too.
    pub fn is_written(self) -> bool {
        self.node.is_some()
    }

    /// Whether null is written, which is `false` in TOML where null is not the default.
    fn is_null(self) -> bool {
        let false_is_null = self.shape.opt.is_some_and(Opt::takes_false_for_null);
        match self.node.map(|node| &node.value) {
            Some(Value::Null) => true,
            Some(Value::Bool(false)) => false_is_null,
            _ => false,
        }
    }

    fn written(self) -> Option<&'a Value> {
        match self.is_null() {
            true => None,
            false => self.node.map(|node| &node.value),
        }
    }

    fn default(self) -> Option<Default> {
        match self.node {
            Some(node) if node.value != Value::Null => None,
            Some(_) if self.shape.opt.is_some_and(|opt| opt.nullable) => None,
            _ => self.shape.opt.map(|opt| opt.default),
        }
    }

    pub fn bool(self, path: &str) -> bool {
        self.own_bool(path)
            .unwrap_or(self.at(path).default() == Some(Default::Bool(true)))
    }

    /// As written; `None` where it is not.
    pub fn own_bool(self, path: &str) -> Option<bool> {
        match self.at(path).written() {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    pub fn int(self, path: &str) -> Option<i64> {
        match (self.at(path).written(), self.at(path).default()) {
            (Some(Value::Int(value)), _) => Some(*value),
            (_, Some(Default::Int(value))) => Some(value),
            _ => None,
        }
    }

    pub fn unsigned(self, path: &str) -> Option<u64> {
        self.int(path).and_then(|value| value.try_into().ok())
    }

    pub fn text(self, path: &str) -> Option<&'a str> {
        match (self.at(path).written(), self.at(path).default()) {
            (Some(Value::Text(text)), _) => Some(text),
            (_, Some(Default::Text(text))) => Some(text),
            _ => None,
        }
    }

    pub fn string(self, path: &str) -> Option<String> {
        self.text(path).map(str::to_owned)
    }

    pub fn path(self, path: &str) -> Option<PathBuf> {
        self.text(path).map(PathBuf::from)
    }

    /// A list of texts.
    pub fn strings(self, path: &str) -> Vec<String> {
        self.own_strings(path).unwrap_or_default()
    }

    /// As written; `None` where it is no list.
    pub fn own_strings(self, path: &str) -> Option<Vec<String>> {
        let list = self
            .at(path)
            .node
            .filter(|node| matches!(node.value, Value::List(_)))?;
        let texts = list.items().iter().filter_map(|item| match &item.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        });
        Some(texts.collect())
    }

    /// A table of texts; `None` where there is no table.
    pub fn texts(self, path: &str) -> Option<Vec<(&'a str, &'a str)>> {
        let table = self
            .at(path)
            .node
            .filter(|node| matches!(node.value, Value::Table(_)))?;
        let texts = table
            .entries()
            .iter()
            .filter_map(|entry| match &entry.node.value {
                Value::Text(text) => Some((entry.key.as_str(), text.as_str())),
                _ => None,
            });
        Some(texts.collect())
    }

    /// A table whose content is someone else's.
    pub fn json(self, path: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
        match self.at(path).node?.to_json() {
            serde_json::Value::Object(map) => Some(map),
            _ => None,
        }
    }
}
