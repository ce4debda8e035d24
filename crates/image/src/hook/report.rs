//! How the hook tells the build what it does: lines on standard error, among those of others.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::progress::{Phase, Progress};

const MARK: &str = "microvm-image-hook: ";

/// One such line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    Customise,
    StoreDisk,
    Failure { kind: Kind, message: String },
}

impl Report {
    pub(super) fn failure(error: &Error) -> String {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::Failure {
            kind: error.kind(),
            message,
        }
        .line()
    }

    pub(super) fn line(&self) -> String {
        let json = serde_json::to_string(self).expect("reports have only string keys");
        format!("{MARK}{json}")
    }

    /// Reads a line of the hook's; `None` for one of another program's.
    fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix(MARK)?).ok()
    }
}

/// Hears the hook among what the program that runs it says.
pub(crate) struct Listener<'a> {
    progress: &'a dyn Progress,
    failure: Option<(Kind, String)>,
}

impl<'a> Listener<'a> {
    pub(crate) fn new(progress: &'a dyn Progress) -> Self {
        Self {
            progress,
            failure: None,
        }
    }

    pub(crate) fn line(&mut self, line: &str) {
        match Report::parse(line) {
            Some(Report::Customise) => self.progress.start(Phase::Customise, ""),
            Some(Report::StoreDisk) => self.progress.start(Phase::StoreDisk, ""),
            Some(Report::Failure { kind, message }) => self.failure = Some((kind, message)),
            None => {}
        }
    }

    /// Why it failed: the hook's own words, where it was the hook.
    pub(crate) fn cause(self, error: Error) -> Error {
        match (error, self.failure) {
            (Error::Interrupted, _) => Error::Interrupted,
            (_, Some((kind, message))) => Error::Hook { kind, message },
            (error, None) => error,
        }
    }
}
