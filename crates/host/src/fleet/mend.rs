//! The records of changes, and what is left of those that were cut off.

use std::fs;
use std::path::PathBuf;

use spec::names::VmName;

use super::change::Record;
use super::{Error, Fleet, Guard, Verb, fault, files};

const CHANGES: &str = "changes";

/// A change that was cut off, and is finished now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    pub name: VmName,
    pub verb: Verb,
}

impl std::fmt::Display for Mended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (noun, name) = (self.verb.noun(), &self.name);
        write!(f, "{noun} of `{name}` was cut off; it is finished now")
    }
}

impl Fleet {
    /// Finishes what was cut off, of all VMs; what somebody is doing just now is left alone.
    pub fn mend(&self) -> Result<Vec<Mended>, Error> {
        let changes = self.own_path(CHANGES);
        files::sweep(&changes);
        let entries = fs::read_dir(&changes).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<VmName> = names
            .filter_map(|name| VmName::try_from(name).ok())
            .collect();
        names.sort();
        let mut mended = Vec::new();
        for name in names {
            let Some(_guard) = Guard::try_take(self, &name)? else {
                continue;
            };
            if let Some(verb) = self.finish(&name)? {
                mended.push(Mended { name, verb });
            }
        }
        Ok(mended)
    }

    /// Does what is left of a change, by the one who holds the guard.
    pub(super) fn finish(&self, name: &VmName) -> Result<Option<Verb>, Error> {
        files::sweep(&self.own_path(CHANGES));
        if let Ok(meta) = fs::symlink_metadata(self.dir_of(name))
            && meta.is_dir()
        {
            files::sweep(&self.dir_of(name));
        }
        let Some(record) = self.read_record(name)? else {
            return Ok(None);
        };
        self.perform(name, &record.after)?;
        self.forget_record(name)?;
        Ok(Some(record.verb))
    }

    pub(super) fn write_record(&self, name: &VmName, record: &Record) -> Result<(), Error> {
        let path = self.own(CHANGES)?.join(&**name);
        let text = serde_json::to_string(record).map_err(|source| Error::Record {
            name: name.to_string(),
            verb: Some(record.verb),
            path: path.clone(),
            source,
        })?;
        fault::point();
        files::replace_file(&path, &text)
    }

    pub(super) fn read_record(&self, name: &VmName) -> Result<Option<Record>, Error> {
        let path = self.record_path(name);
        let Some(text) = files::read_file(&path)? else {
            return Ok(None);
        };
        let record = serde_json::from_str(&text).map_err(|source| Error::Record {
            name: name.to_string(),
            verb: None,
            path,
            source,
        })?;
        Ok(Some(record))
    }

    pub(super) fn forget_record(&self, name: &VmName) -> Result<(), Error> {
        fault::point();
        files::delete(&self.record_path(name))
    }

    fn record_path(&self, name: &VmName) -> PathBuf {
        self.own_path(CHANGES).join(&**name)
    }
}
