//! Compares a written VM with the table of options: names, types, ranges, what is missing.

use std::fmt;

use crate::options::form::Form;
use crate::options::shape::{self, Shape};
use crate::options::{Default, Opt, Type};
use crate::problem::{Kind, Problem};
use crate::tree::{Entry, Node, Offset, Value};

/// Everything that is wrong with the form of a VM.
pub fn walk(vm: &Node) -> Vec<(Offset, Problem)> {
    let mut walk = Walk { found: Vec::new() };
    walk.value(vm, shape::vm(), &Path::Root);
    walk.found
}

struct Walk {
    found: Vec<(Offset, Problem)>,
}

/// The way to a value, put into words only where something is wrong.
enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(parent, name) => {
                parent.fmt(f)?;
                if !matches!(parent, Self::Root) {
                    f.write_str(".")?;
                }
                let bare = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
                match !name.is_empty() && name.bytes().all(bare) {
                    true => f.write_str(name),
                    false => write!(f, "\"{}\"", name.escape_debug()),
                }
            }
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl Walk {
    fn report(
        &mut self,
        at: Offset,
        path: &Path<'_>,
        kind: Kind,
        message: impl Into<String>,
    ) -> &mut Problem {
        let mut problem = Problem::about(path.to_string(), message).kind(kind);
        problem.option = problem.option.filter(|option| !option.is_empty());
        self.found.push((at, problem));
        let (_, problem) = self.found.last_mut().expect("one was pushed");
        problem
    }

    fn value(&mut self, node: &Node, shape: &'static Shape, path: &Path<'_>) {
        let kind = shape.opt.map_or(Type::Table, |opt| opt.kind);
        let is_null = match node.value {
            Value::Null => shape.opt.is_none_or(|opt| opt.nullable) && !matches!(path, Path::Root),
            Value::Bool(false) => shape.opt.is_some_and(Opt::takes_false_for_null),
            _ => false,
        };
        let found = self.found.len();
        if !is_null {
            self.kind(node, kind, shape, path);
        }
        // Who gets these wrong has most often counted in another unit.
        let in_mib = shape.opt.is_some_and(|opt| opt.meaning.contains("MiB"));
        if let (Type::Int { min, max }, true) = (kind, in_mib)
            && let Some((_, problem)) = self.found.get_mut(found)
        {
            problem.accepted = Some(format!("a number of MiB from {min} to {max}"));
        }
    }

    fn kind(&mut self, node: &Node, kind: Type, shape: &'static Shape, path: &Path<'_>) {
        match (kind, &node.value) {
            (Type::Anything, _) | (Type::Bool, Value::Bool(_)) | (Type::Json, Value::Table(_)) => {}
            (Type::Int { min, max }, Value::Int(value)) if (min..=max).contains(value) => {}
            (Type::Int { .. }, Value::Int(_)) => self.out_of_range(node, kind, path),
            (Type::Text(form), Value::Text(text)) => self.text(node, text, form, path),
            (Type::OneOf(words), Value::Text(text)) => self.word(node, text, words, path),
            (Type::List(each), Value::List(items)) => {
                let inner = shape.each().unwrap_or(shape);
                for (index, item) in items.iter().enumerate() {
                    self.kind(item, *each, inner, &Path::Item(path, index));
                }
            }
            (Type::Map { keys, values }, Value::Table(entries)) => {
                self.map(entries, keys, *values, shape, path);
            }
            (Type::Table, Value::Table(entries)) => self.members(node, entries, shape, path),
            (Type::Either(kinds), value) => match kinds.iter().find(|kind| takes(**kind, value)) {
                Some(chosen) => self.kind(node, *chosen, shape, path),
                None => self.wrong_kind(node, kind, path),
            },
            _ => self.wrong_kind(node, kind, path),
        }
    }

    fn members(&mut self, node: &Node, entries: &[Entry], shape: &'static Shape, path: &Path<'_>) {
        for entry in entries {
            match shape.member(&entry.key) {
                Some(member) => self.value(&entry.node, member, &Path::Member(path, &entry.key)),
                None => self.unknown(entry, shape, path),
            }
        }
        for (name, member) in shape.members() {
            let written = node.get(name);
            if written.is_none() {
                self.missing(node.at, member, &Path::Member(path, name));
            }
        }
    }

    /// Reports what is required at or below a member that is not written.
    fn missing(&mut self, at: Offset, shape: &'static Shape, path: &Path<'_>) {
        match shape.opt {
            Some(opt) if opt.default == Default::Required => {
                let problem = self.report(at, path, Kind::Missing, "Required, and not given");
                problem.accepted = Some(opt.kind.accepted());
            }
            Some(_) => {}
            None => {
                for (name, member) in shape.members() {
                    self.missing(at, member, &Path::Member(path, name));
                }
            }
        }
    }

    fn map(
        &mut self,
        entries: &[Entry],
        keys: Form,
        values: Type,
        shape: &'static Shape,
        path: &Path<'_>,
    ) {
        let inner = shape.each().unwrap_or(shape);
        for entry in entries {
            let path = Path::Member(path, &entry.key);
            if !keys.accepts(&entry.key) {
                let message = match entry.key.as_str() {
                    "" => "The empty string cannot be a name here".to_owned(),
                    key => format!("`{}` cannot be a name here", key.escape_debug()),
                };
                let problem = self.report(entry.key_at, &path, Kind::Value, message);
                problem.value = Some(entry.key.clone());
                problem.accepted = Some(keys.accepted().to_owned());
                problem.nearest = keys.mended(&entry.key);
            }
            self.kind(&entry.node, values, inner, &path);
        }
    }

    fn text(&mut self, node: &Node, text: &str, form: Form, path: &Path<'_>) {
        if form.accepts(text) {
            return;
        }
        let message = match text {
            "" => "The empty string is not accepted here".to_owned(),
            _ if form.hides(text) => "The value is not accepted here".to_owned(),
            _ => format!("`{}` is not accepted here", node.shown()),
        };
        let problem = self.report(node.at, path, Kind::Value, message);
        problem.value = (!form.hides(text)).then(|| node.shown());
        problem.accepted = Some(form.accepted().to_owned());
        problem.nearest = form.mended(text);
        problem.hint = form.advice(text).map(str::to_owned);
    }

    fn word(&mut self, node: &Node, text: &str, words: &[&str], path: &Path<'_>) {
        if words.contains(&text) {
            return;
        }
        let message = format!("`{}` is not one of the values", node.shown());
        let near = crate::options::closest(text, words.iter().copied());
        let problem = self.report(node.at, path, Kind::Value, message);
        problem.value = Some(node.shown());
        problem.accepted = Some(
            words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(", "),
        );
        problem.nearest = near.map(str::to_owned);
    }

    fn wrong_kind(&mut self, node: &Node, kind: Type, path: &Path<'_>) {
        let accepted = match kind {
            Type::Text(form) => format!("a string: {}", form.accepted()),
            _ => kind.accepted(),
        };
        let hidden = matches!(kind, Type::Text(form) if form.hides(""));
        let (message, value) = match node.value {
            Value::List(_) | Value::Table(_) | Value::Null => {
                (format!("Found {}", node.kind()), None)
            }
            _ if hidden => (format!("Found {}", node.kind()), None),
            _ => {
                let shown = match node.value {
                    Value::Text(_) => format!("\"{}\"", node.shown()),
                    _ => node.shown(),
                };
                (format!("`{shown}` is {}", node.kind()), Some(shown))
            }
        };
        let brackets = kind == Type::List(&Type::Table) && matches!(node.value, Value::Table(_));
        let problem = self.report(node.at, path, Kind::Type, message);
        problem.value = value;
        problem.accepted = Some(accepted);
        if brackets {
            problem.hint = Some("in TOML its tables have two brackets: `[[…]]`".to_owned());
        }
    }

    fn out_of_range(&mut self, node: &Node, kind: Type, path: &Path<'_>) {
        let message = format!("`{}` is out of range", node.shown());
        let problem = self.report(node.at, path, Kind::Value, message);
        problem.value = Some(node.shown());
        problem.accepted = Some(kind.accepted());
    }

    fn unknown(&mut self, entry: &Entry, shape: &'static Shape, path: &Path<'_>) {
        let member = Path::Member(path, &entry.key);
        let problem = self.report(entry.key_at, &member, Kind::Unknown, "Unknown option");
        super::unknown::explain(problem, entry, shape, matches!(path, Path::Root));
    }
}

/// Whether a value is of a type as far as its outermost kind goes.
fn takes(kind: Type, value: &Value) -> bool {
    match kind {
        Type::Bool => matches!(value, Value::Bool(_)),
        Type::Int { .. } => matches!(value, Value::Int(_)),
        Type::Text(_) | Type::OneOf(_) => matches!(value, Value::Text(_)),
        Type::List(_) => matches!(value, Value::List(_)),
        Type::Map { .. } | Type::Table | Type::Json => matches!(value, Value::Table(_)),
        Type::Anything => true,
        Type::Either(kinds) => kinds.iter().any(|kind| takes(*kind, value)),
    }
}
