//! Changes of an installed VM: recorded first, then done.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spec::names::VmName;

use super::accepted::{one_line, package_at};
use super::member::{self, Member, Version};
use super::removal::{self, Keep};
use super::{Error, Fleet, Guard, files};

/// What a change was asked for as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    Create,
    Update,
    Rollback,
    Remove,
}

impl Verb {
    pub fn noun(self) -> &'static str {
        match self {
            Self::Create => "the creation",
            Self::Update => "an update",
            Self::Rollback => "a rollback",
            Self::Remove => "the removal",
        }
    }
}

/// A change that is decided. What it holds is all that the directory is to say afterwards, so
/// that doing it twice is doing it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub verb: Verb,
    pub after: After,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum After {
    Installed {
        current: PathBuf,
        old: Option<PathBuf>,
        source: Option<String>,
        managed: bool,
    },
    /// What the guest wrote, and nothing else.
    Data,
    Nothing,
}

impl Fleet {
    /// Installs a package under a name that has none. `managed` says that the host's
    /// configuration alone updates it.
    pub fn create(
        &self,
        name: &VmName,
        package: &Path,
        source: Option<&str>,
        managed: bool,
    ) -> Result<(), Error> {
        let current = package_at(package)?;
        let source = source.map(one_line).transpose()?;
        let _guard = self.begin(name)?;
        if Member::read(self, name)?.is_some() {
            return Err(Error::Installed {
                name: name.to_string(),
                dir: self.dir.clone(),
            });
        }
        self.carry_out(
            name,
            Verb::Create,
            After::Installed {
                current,
                old: None,
                source,
                managed,
            },
        )
    }

    /// Has the VM start another package from now on, and says whether it is another one. What
    /// runs goes on as it is.
    pub fn update(
        &self,
        name: &VmName,
        package: &Path,
        source: Option<&str>,
        managed: bool,
    ) -> Result<bool, Error> {
        let package = package_at(package)?;
        let source = source.map(one_line).transpose()?;
        let _guard = self.begin(name)?;
        let member = self.member(name)?;
        let same = member.current.path() == package;
        if same && member.source == source && member.managed == managed {
            return Ok(false);
        }
        let old = match same {
            true => member.old.map(Version::into_path),
            false => Some(member.current.into_path()),
        };
        self.carry_out(
            name,
            Verb::Update,
            After::Installed {
                current: package,
                old,
                source,
                managed,
            },
        )?;
        Ok(!same)
    }

    /// Has the VM start the version before this one, and keeps this one for the way back.
    pub fn rollback(&self, name: &VmName) -> Result<PathBuf, Error> {
        let _guard = self.begin(name)?;
        let member = self.member(name)?;
        let before = match member.old {
            Some(Version::There(path)) => path,
            Some(Version::Gone(path)) => {
                return Err(Error::BeforeIsGone {
                    name: name.to_string(),
                    path,
                });
            }
            None => {
                return Err(Error::NothingBefore {
                    name: name.to_string(),
                });
            }
        };
        self.carry_out(
            name,
            Verb::Rollback,
            After::Installed {
                current: before.clone(),
                old: Some(member.current.into_path()),
                source: member.source,
                managed: member.managed,
            },
        )?;
        Ok(before)
    }

    /// Removes a VM that does not run.
    pub fn remove(&self, name: &VmName, keep: Keep) -> Result<(), Error> {
        let guard = self.begin(name)?;
        let member = self.member(name)?;
        if member.runs {
            return Err(Error::Running {
                name: name.to_string(),
            });
        }
        let after = match keep {
            Keep::Data => After::Data,
            Keep::Nothing => {
                removal::no_mount_points(&member.dir)?;
                After::Nothing
            }
        };
        self.carry_out(name, Verb::Remove, after)?;
        self.forget(name);
        guard.remove();
        Ok(())
    }

    /// What is known of a VM beside its directory; of no use to the next of that name.
    fn forget(&self, name: &VmName) {
        let files = [
            format!("logs/{name}.log"),
            format!("logs/{name}.log.1"),
            format!("run/{name}:outcome"),
        ];
        for file in files {
            let _ = fs::remove_file(self.own_path(&file));
        }
        self.forget_in_nix(name);
    }

    /// Says whether the VM is to start with the host.
    pub fn set_autostart(&self, name: &VmName, on: bool) -> Result<(), Error> {
        let _guard = self.begin(name)?;
        let path = self.member(name)?.dir.join(member::AUTOSTART);
        match on {
            true => files::replace_file(&path, ""),
            false => files::delete(&path),
        }
    }

    /// Has `booted` lead to what is about to be started, and gives it.
    pub fn set_booted(&self, name: &VmName) -> Result<PathBuf, Error> {
        let _guard = self.begin(name)?;
        let member = self.member(name)?;
        let package = package_at(member.current.path())?;
        files::replace_link(&member.dir.join("booted"), &package)?;
        Ok(package)
    }

    /// Nothing runs any more.
    pub fn clear_booted(&self, name: &VmName) -> Result<(), Error> {
        let _guard = self.begin(name)?;
        files::delete(&self.member(name)?.dir.join("booted"))
    }

    /// Waits for its turn, and finishes what was cut off.
    pub(super) fn begin(&self, name: &VmName) -> Result<Guard, Error> {
        let guard = Guard::take(self, name)?;
        if let Some(verb) = self.finish(name)? {
            tracing::warn!(
                "{} of `{name}` was cut off; it is finished now",
                verb.noun()
            );
        }
        Ok(guard)
    }

    fn carry_out(&self, name: &VmName, verb: Verb, after: After) -> Result<(), Error> {
        let record = Record { verb, after };
        self.write_record(name, &record)?;
        self.perform(name, &record.after)?;
        self.forget_record(name)
    }
}
