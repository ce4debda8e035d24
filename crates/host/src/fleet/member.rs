//! What a VM's directory says.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use spec::names::VmName;

use super::change::Verb;
use super::{Error, Fleet, files};

/// There where the VM starts with the host.
pub(super) const AUTOSTART: &str = "autostart";

/// There where the host's configuration alone updates the VM.
pub(super) const MANAGED: &str = "toplevel";

/// An installed VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: VmName,
    pub dir: PathBuf,
    /// What the next start runs.
    pub current: Version,
    /// What was started last; what runs, where it runs.
    pub booted: Option<Version>,
    pub old: Option<Version>,
    /// Where it is updated from.
    pub source: Option<String>,
    pub managed: bool,
    pub autostart: bool,
    pub runs: bool,
    /// A change that was cut off, or is being made.
    pub unfinished: Option<Verb>,
}

/// A runner package that a link leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    There(PathBuf),
    /// The link leads to nothing, or to no package.
    Gone(PathBuf),
}

impl Version {
    pub fn path(&self) -> &Path {
        match self {
            Self::There(path) | Self::Gone(path) => path,
        }
    }

    pub fn into_path(self) -> PathBuf {
        match self {
            Self::There(path) | Self::Gone(path) => path,
        }
    }

    pub fn is_there(&self) -> bool {
        matches!(self, Self::There(_))
    }

    fn of(link: &Path) -> Result<Option<Self>, Error> {
        let Some(target) = files::read_link(link)? else {
            return Ok(None);
        };
        let run = target.join("bin/microvm-run");
        Ok(Some(match fs::symlink_metadata(run) {
            Ok(_) => Self::There(target),
            Err(_) => Self::Gone(target),
        }))
    }
}

impl Member {
    /// `None` where nothing is installed: a directory without `current` has data at most.
    pub(super) fn read(fleet: &Fleet, name: &VmName) -> Result<Option<Self>, Error> {
        let dir = fleet.dir_of(name);
        if !own_directory_if_there(&dir)? {
            return Ok(None);
        }
        let Some(current) = Version::of(&dir.join("current"))? else {
            return Ok(None);
        };
        let source = files::read_file(&dir.join("flake"))?;
        Ok(Some(Self {
            name: name.clone(),
            current,
            booted: Version::of(&dir.join("booted"))?,
            old: Version::of(&dir.join("old"))?,
            source: source.and_then(|text| text.lines().next().map(str::to_owned)),
            managed: is_there(&dir.join(MANAGED)),
            autostart: is_there(&dir.join(AUTOSTART)),
            runs: fleet.runs(name),
            unfinished: fleet.read_record(name)?.map(|record| record.verb),
            dir,
        }))
    }

    /// What runs, where it runs; else what the next start runs.
    pub fn in_use(&self) -> &Version {
        match &self.booted {
            Some(booted) if self.runs => booted,
            _ => &self.current,
        }
    }

    /// Whether what runs is not what the next start runs.
    pub fn is_behind(&self) -> bool {
        let booted = self.booted.as_ref().filter(|_| self.runs);
        booted.is_some_and(|booted| booted.path() != self.current.path())
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Refuses what is not a directory, and a link to one above all.
pub(super) fn own_directory(dir: &Path) -> Result<(), Error> {
    match own_directory_if_there(dir)? {
        true => Ok(()),
        false => Err(Error::io("find", dir, ErrorKind::NotFound.into())),
    }
}

fn own_directory_if_there(dir: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::io("examine", dir, source)),
        Ok(meta) if meta.is_symlink() => Err(Error::Link {
            path: dir.to_owned(),
        }),
        Ok(meta) if !meta.is_dir() => Err(files::foreign(dir, "a directory")),
        Ok(_) => Ok(true),
    }
}
