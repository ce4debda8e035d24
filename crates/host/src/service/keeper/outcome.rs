//! How a VM ended, left for who asked for it.

use std::path::{Path, PathBuf};

use spec::names::VmName;

/// The last that a keeper did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Graceful,
    /// The guest did not shut itself down in time.
    Escalated,
    /// It failed too often.
    Failed,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Graceful, Self::Escalated, Self::Failed];

    fn word(self) -> &'static str {
        match self {
            Self::Graceful => "graceful",
            Self::Escalated => "escalated",
            Self::Failed => "failed",
        }
    }

    pub fn write(self, run: &Path, name: &VmName) {
        if let Err(error) = std::fs::write(path(run, name), self.word()) {
            tracing::debug!("the outcome of `{name}` cannot be written: {error}");
        }
    }

    pub fn read(run: &Path, name: &VmName) -> Option<Self> {
        let text = std::fs::read_to_string(path(run, name)).ok()?;
        Self::ALL.into_iter().find(|outcome| outcome.word() == text)
    }

    pub fn forget(run: &Path, name: &VmName) {
        let _ = std::fs::remove_file(path(run, name));
    }
}

fn path(run: &Path, name: &VmName) -> PathBuf {
    run.join(format!("{name}:outcome"))
}
