//! Builds an argument vector, and lists of `key=value` in it as two kinds of parsers read them.

use std::fmt::Display;
use std::path::Path;

/// Arguments in the order in which the hypervisor gets them.
#[derive(Default)]
pub(crate) struct Args(Vec<String>);

impl Args {
    pub fn flag(&mut self, flag: &str) {
        self.0.push(flag.to_owned());
    }

    pub fn pair(&mut self, flag: &str, value: impl Into<String>) {
        self.flag(flag);
        self.0.push(value.into());
    }

    /// One flag with several values; nothing where there are none.
    pub fn list(&mut self, flag: &str, values: Vec<List>) {
        if !values.is_empty() {
            self.flag(flag);
            self.0.extend(values.into_iter().map(String::from));
        }
    }

    pub fn extend(&mut self, args: &[String]) {
        self.0.extend_from_slice(args);
    }

    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}

/// `head,key=value,…` for QEMU's parser, which wants a comma in a value doubled.
pub(crate) struct Opts(String);

impl Opts {
    pub fn new(head: impl Into<String>) -> Self {
        Self(head.into())
    }

    pub fn set(mut self, key: &str, value: impl Display) -> Self {
        let value = value.to_string().replace(',', ",,");
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(&format!("{key}={value}"));
        self
    }

    pub fn path(self, key: &str, path: &Path) -> Self {
        self.set(key, path.display())
    }

    pub fn set_some(self, key: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.set(key, value),
            None => self,
        }
    }

    pub fn set_if(self, condition: bool, key: &str, value: impl Display) -> Self {
        self.set_some(key, condition.then_some(value))
    }

    /// Appends a list that the user wrote, commas and all.
    pub fn raw(mut self, list: Option<&str>) -> Self {
        if let Some(list) = list {
            self.0.push(',');
            self.0.push_str(list);
        }
        self
    }
}

impl From<Opts> for String {
    fn from(opts: Opts) -> Self {
        opts.0
    }
}

/// `key=value,…` for parsers that have no way to quote a comma: a path with one is refused before
/// (see [`crate::backends::Backend::unquotable`]).
#[derive(Default)]
pub(crate) struct List(String);

impl List {
    pub fn new(head: impl Into<String>) -> Self {
        Self(head.into())
    }

    pub fn set(mut self, key: &str, value: impl Display) -> Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(&format!("{key}={value}"));
        self
    }

    pub fn path(self, key: &str, path: &Path) -> Self {
        self.set(key, path.display())
    }

    pub fn set_some(self, key: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.set(key, value),
            None => self,
        }
    }

    pub fn set_if(self, condition: bool, key: &str, value: impl Display) -> Self {
        self.set_some(key, condition.then_some(value))
    }
}

impl List {
    /// A word without a value.
    pub fn flag_if(mut self, condition: bool, word: &str) -> Self {
        if condition {
            self.0.push(',');
            self.0.push_str(word);
        }
        self
    }
}

impl From<List> for String {
    fn from(list: List) -> Self {
        list.0
    }
}

/// `on` or `off`.
pub(crate) fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
