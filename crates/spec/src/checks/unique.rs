//! Values that may be there once.

use std::collections::HashMap;

use crate::problem::{Kind, Problem};

/// Remembers which option had a value first.
pub struct Unique {
    what: &'static str,
    seen: HashMap<String, String>,
}

impl Unique {
    /// `what` the values are, with its article: `a MAC address`.
    pub fn new(what: &'static str) -> Self {
        Self {
            what,
            seen: HashMap::new(),
        }
    }

    /// Takes a value, and reports it where another option has it already.
    pub fn add(&mut self, value: &str, option: &str, problems: &mut Vec<Problem>) {
        match self.seen.get(value) {
            Some(first) => {
                let what = self.what;
                let message = format!("`{value}` is {what} that `{first}` has already");
                let problem = Problem::about(option, message).kind(Kind::Duplicate);
                problems.push(problem.value(value));
            }
            None => {
                self.seen.insert(value.to_owned(), option.to_owned());
            }
        }
    }
}
