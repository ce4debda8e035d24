//! Reads a table of a configuration, and collects what is wrong with it.

use std::fmt;

/// What is wrong, and where.
#[derive(Default)]
pub struct Problems(Vec<String>);

impl Problems {
    pub fn add(&mut self, at: &str, what: String) {
        self.0.push(format!("`{at}`: {what}"));
    }

    pub fn add_near(&mut self, at: &str, what: String, near: Option<&str>) {
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        self.add(at, format!("{what}{near}"));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One a line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// A table whose keys are all known.
pub struct Table<'a> {
    at: String,
    table: &'a toml::Table,
}

impl<'a> Table<'a> {
    /// Unknown keys are told, with the nearest known one.
    pub fn of(
        at: String,
        value: &'a toml::Value,
        keys: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(table) = value.as_table() else {
            problems.add(&at, "accepted is a table".to_owned());
            return None;
        };
        for key in table.keys().filter(|key| !keys.contains(&key.as_str())) {
            let near = spec::options::closest(key, keys.iter().copied());
            let known = match near {
                Some(_) => String::new(),
                None => format!("; accepted are `{}`", keys.join("`, `")),
            };
            problems.add_near(
                &format!("{at}.{key}"),
                format!("there is no such key{known}"),
                near,
            );
        }
        Some(Self { at, table })
    }

    /// A key's place.
    pub fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.at)
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub fn value(&self, key: &str) -> Option<&'a toml::Value> {
        self.table.get(key)
    }

    pub fn flag(&self, key: &str, problems: &mut Problems) -> Option<bool> {
        let value = self.value(key)?;
        if !value.is_bool() {
            problems.add(&self.at(key), "accepted are `true` and `false`".to_owned());
        }
        value.as_bool()
    }

    pub fn text(&self, key: &str, problems: &mut Problems) -> Option<&'a str> {
        let value = self.value(key)?;
        if !value.is_str() {
            problems.add(&self.at(key), "accepted is a text".to_owned());
        }
        value.as_str()
    }

    pub fn required(&self, key: &str, problems: &mut Problems) -> Option<&'a str> {
        if !self.has(key) {
            problems.add(&self.at(key), "is needed".to_owned());
        }
        self.text(key, problems)
    }

    pub fn texts(&self, key: &str, problems: &mut Problems) -> Option<Vec<String>> {
        let texts = self.value(key)?.as_array().and_then(|values| {
            let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
            texts.collect()
        });
        if texts.is_none() {
            problems.add(&self.at(key), "accepted is a list of texts".to_owned());
        }
        texts
    }

    /// A text that is checked on its way in.
    pub fn named<T: TryFrom<String, Error = spec::names::InvalidName>>(
        &self,
        key: &str,
        text: &str,
        problems: &mut Problems,
    ) -> Option<T> {
        match T::try_from(text.to_owned()) {
            Ok(name) => Some(name),
            Err(invalid) => {
                let said = format!(
                    "`{}`: accepted is {}",
                    text.escape_debug(),
                    invalid.accepted
                );
                problems.add(&self.at(key), said);
                None
            }
        }
    }
}
