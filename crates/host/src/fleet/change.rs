//! Changes of an installed VM: recorded first, then done.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spec::names::VmName;

use super::member::{self, Member, Version};
use super::removal::{self, Keep};
use super::{Error, Fleet, Guard, Owner, fault, files};
use crate::program::is_executable;

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
        guard.remove();
        Ok(())
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

    /// Brings a directory to what a record says.
    pub(super) fn perform(&self, name: &VmName, after: &After) -> Result<(), Error> {
        let dir = self.dir_of(name);
        fault::point();
        match after {
            After::Installed {
                current,
                old,
                source,
                managed,
            } => {
                self.make_dir(&dir)?;
                fault::point();
                put(&dir.join("flake"), source.as_deref())?;
                let system = current.join("share/microvm/system");
                put_link(
                    &dir.join(member::MANAGED),
                    managed.then_some(system.as_path()),
                )?;
                put_link(&dir.join("old"), old.as_deref())?;
                // Last, for without it there is no VM.
                files::replace_link(&dir.join("current"), current)?;
                fault::point();
                Ok(())
            }
            After::Data => removal::remove_own(&dir, name),
            After::Nothing => removal::remove_all(&dir),
        }
    }

    /// Makes the directory of a VM, or takes over the one that an earlier VM left its data in.
    fn make_dir(&self, dir: &Path) -> Result<(), Error> {
        files::make_directories(&self.dir)?;
        match fs::create_dir(dir) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => member::own_directory(dir)?,
            done => done.map_err(|source| Error::io("make", dir, source))?,
        }
        let io = |source| Error::io("give away", dir, source);
        let mode = match self.owner {
            Owner::Invoker => 0o755,
            Owner::Group(group) => {
                let uid = fs::metadata(dir).map_err(io)?.uid();
                chown(dir, (uid != 0).then_some(0), Some(group)).map_err(io)?;
                0o1775
            }
        };
        fs::set_permissions(dir, Permissions::from_mode(mode)).map_err(io)?;
        files::sync_parent(dir)
    }
}

fn put(path: &Path, text: Option<&str>) -> Result<(), Error> {
    match text {
        Some(text) => files::replace_file(path, &format!("{text}\n")),
        None => files::delete(path),
    }
}

fn put_link(link: &Path, target: Option<&Path>) -> Result<(), Error> {
    match target {
        Some(target) => files::replace_link(link, target),
        None => files::delete(link),
    }
}

/// The package itself, whatever links lead to it.
fn package_at(path: &Path) -> Result<PathBuf, Error> {
    let not_there = || Error::NotAPackage {
        path: path.to_owned(),
    };
    let package = path.canonicalize().map_err(|_| not_there())?;
    if !is_executable(&package.join("bin/microvm-run")) {
        return Err(not_there());
    }
    let uid = fs::metadata(&package).map_err(|_| not_there())?.uid();
    if crate::user::is_root() && uid != 0 {
        return Err(Error::Untrusted { path: package, uid });
    }
    Ok(package)
}

fn one_line(source: &str) -> Result<String, Error> {
    match source.contains(['\n', '\r', '\0']) {
        false => Ok(source.to_owned()),
        true => Err(Error::SourceText {
            source_text: source.escape_debug().to_string(),
        }),
    }
}
