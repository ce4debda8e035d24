//! What is wrong with a definition, and where.

use std::fmt;

use serde::Serialize;

/// What sort of thing is wrong, for programs that read problems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The text is neither TOML nor JSON.
    Syntax,
    /// No option has this name.
    Unknown,
    /// Required, and not there.
    Missing,
    /// A value of another type.
    Type,
    /// A value of the right type that is not accepted.
    Value,
    /// A value that another option or another VM has already.
    Duplicate,
    /// Options that exclude each other, or one that needs another.
    #[default]
    Conflict,
    /// More than the host has.
    Host,
    /// What the hypervisor cannot do.
    Unsupported,
}

/// One thing that is wrong, with its place in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// As the caller named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub kind: Kind,
    pub vm: Option<String>,
    /// `volumes[0].size`
    pub option: Option<String>,
    /// As written.
    pub value: Option<String>,
    pub message: String,
    /// What would be right.
    pub accepted: Option<String>,
    /// What was probably meant.
    pub nearest: Option<String>,
    pub hint: Option<String>,
}

impl Problem {
    /// Of the option at a path; the place is found later.
    pub fn about(option: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            option: Some(option.into()),
            message: message.into(),
            ..Self::default()
        }
    }

    pub(crate) fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// Whether this says already that a value is wrong of which `other`, of the same VM, says
    /// something too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let (Some(own), Some(option)) = (&self.option, &other.option) else {
            return false;
        };
        let rest = option.strip_prefix(own.as_str());
        match self.kind {
            Kind::Type => rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])),
            Kind::Value => {
                let of_value = matches!(other.kind, Kind::Value | Kind::Duplicate | Kind::Host);
                of_value && rest == Some("")
            }
            _ => false,
        }
    }

    pub(crate) fn value(self, value: impl Into<String>) -> Self {
        Self {
            value: Some(value.into()),
            ..self
        }
    }

    pub(crate) fn accepted(self, accepted: impl Into<String>) -> Self {
        Self {
            accepted: Some(accepted.into()),
            ..self
        }
    }

    pub(crate) fn nearest(self, nearest: Option<impl Into<String>>) -> Self {
        Self {
            nearest: nearest.map(Into::into),
            ..self
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if let Some(vm) = &self.vm {
            write!(f, "VM `{vm}`: ")?;
        }
        if let Some(option) = &self.option {
            write!(f, "`{option}`: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(accepted) = &self.accepted {
            write!(f, "\n  accepted: {accepted}")?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "\n  did you mean `{nearest}`?")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a definition, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        Self(problems)
    }

    /// Those of one VM and those of no VM in particular; all where `vm` is `None`.
    pub fn of(mut self, vm: Option<&str>) -> Self {
        self.0.retain(|problem| match (vm, &problem.vm) {
            (Some(wanted), Some(name)) => wanted == name,
            _ => true,
        });
        self
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
