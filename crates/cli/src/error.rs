//! The one error type of the program: a kind, what failed, and hints.

use std::error::Error as StdError;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

/// What went wrong, as an exit code tells it; see `docs/exit-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Other = 1,
    Usage = 2,
    Definition = 3,
    NotFound = 4,
    Missing = 5,
    Build = 6,
    Busy = 7,
    Storage = 8,
    Hypervisor = 9,
    Escalated = 10,
    Interrupted = 130,
}

#[derive(Debug)]
pub struct Error {
    kind: Kind,
    source: Box<dyn StdError + Send + Sync>,
    hints: Vec<String>,
}

pub type Result<T> = std::result::Result<T, Error>;

/// The message alone, for where several are told of; without causes and hints.
impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(f)
    }
}

impl Error {
    pub fn new(kind: Kind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            kind,
            source: source.into(),
            hints: Vec::new(),
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message and its causes, as one text.
    pub fn with_causes(&self) -> String {
        let mut text = self.source.to_string();
        let mut cause = self.source.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Prints the message, its causes and the hints to stderr.
    pub fn print_and_code(&self) -> ExitCode {
        let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        anstream::eprintln!("{red}error{red:#}: {}", self.source);
        let mut cause = self.source.source();
        while let Some(error) = cause {
            anstream::eprintln!("  because: {error}");
            cause = error.source();
        }
        for hint in &self.hints {
            anstream::eprintln!("hint: {hint}");
        }
        ExitCode::from(self.kind as u8)
    }
}

/// Gives a failed operation its kind.
pub trait OrKind<T> {
    fn or_kind(self, kind: Kind) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> OrKind<T> for std::result::Result<T, E> {
    fn or_kind(self, kind: Kind) -> Result<T> {
        self.map_err(|error| Error::new(kind, error))
    }
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Self {
        let kind = match error.kind() {
            image::Kind::Definition => Kind::Definition,
            image::Kind::Missing => Kind::Missing,
            image::Kind::Build => Kind::Build,
            image::Kind::Storage => Kind::Storage,
            image::Kind::Interrupted => Kind::Interrupted,
        };
        Self::new(kind, error)
    }
}

impl From<host::Kind> for Kind {
    fn from(kind: host::Kind) -> Self {
        match kind {
            host::Kind::Other => Self::Other,
            host::Kind::Usage => Self::Usage,
            host::Kind::Definition => Self::Definition,
            host::Kind::NotFound => Self::NotFound,
            host::Kind::Missing => Self::Missing,
            host::Kind::Busy => Self::Busy,
            host::Kind::Storage => Self::Storage,
            host::Kind::Hypervisor => Self::Hypervisor,
            host::Kind::Interrupted => Self::Interrupted,
        }
    }
}

macro_rules! from_host {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::new(error.kind().into(), error)
            }
        }
    )*};
}

from_host!(
    host::alioth::Error,
    host::console::AttachError,
    host::control::Error,
    host::exec::Error,
    host::fleet::Error,
    host::guest_exec::Error,
    host::network::Error,
    host::pci::Error,
    host::probe::Error,
    host::relay::Error,
    host::service::Error,
    host::service::units::Error,
    host::supervise::Error,
    host::tap::Error,
    host::virtiofs::Error
);

/// An error where a program ended without success; `what` is what people call it.
pub fn succeeded(what: &str, status: std::process::ExitStatus, kind: Kind) -> Result<()> {
    match status.success() {
        true => Ok(()),
        false => Err(Error::new(kind, format!("`{what}` ended with {status}"))),
    }
}
