//! What is remembered of networks in the state directory: how they are wanted, and who has which
//! address.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use spec::names::InterfaceId;

use super::{Error, Given, Network, Networks};
use crate::fleet::{fault, files};

/// Inside the place of the state directory for what is not a VM's own.
const DIR: &str = "networks";

/// A change waits for programs of the host; a holder that takes so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

impl Networks {
    /// All that are recorded, in the order of their names.
    pub fn recorded(&self) -> Result<Vec<Network>, Error> {
        let dir = self.fleet.own_path(DIR);
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| Error::io("read", &dir, source))?,
        };
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<InterfaceId> = names
            .filter_map(|name| InterfaceId::try_from(name).ok())
            .collect();
        names.sort();
        let mut networks = Vec::new();
        for name in names {
            networks.extend(read::<Network>(&self.dir_of(&name).join("network.json"))?);
        }
        Ok(networks)
    }

    /// One that is recorded.
    pub fn network(&self, name: &str) -> Result<Network, Error> {
        let networks = self.recorded()?;
        let found = networks.iter().find(|network| *network.name == *name);
        found.cloned().ok_or_else(|| Error::Absent {
            name: name.to_owned(),
            known: networks
                .iter()
                .map(|network| network.name.to_string())
                .collect(),
        })
    }

    /// Records how a network is wanted.
    pub fn record(&self, network: &Network) -> Result<(), Error> {
        let _lock = self.lock()?;
        let path = self.dir_of(&network.name).join("network.json");
        write(&path, network)?;
        fault::point();
        Ok(())
    }

    /// Forgets a network that is down, with the addresses of its guests.
    pub fn forget(&self, name: &str) -> Result<(), Error> {
        let _lock = self.lock()?;
        let dir = self.dir_of(name);
        // Last in its directory: as long as it is there, the next command goes on with this.
        for file in ["addresses.json", "leases"] {
            files::delete(&dir.join(file))?;
            fault::point();
        }
        let log = self
            .fleet
            .own_path("logs")
            .join(format!("network:{name}.log"));
        files::delete(&log)?;
        fault::point();
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            done => done.map_err(|source| Error::io("delete", &dir, source))?,
        }
        fault::point();
        self.remove_if_empty()
    }

    /// Removes what the end of the last network left where it was cut off.
    pub fn tidy(&self) -> Result<(), Error> {
        if !self.fleet.own_path(DIR).exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        self.remove_if_empty()
    }

    fn remove_if_empty(&self) -> Result<(), Error> {
        if self.recorded()?.is_empty() {
            let dir = self.fleet.own_path(DIR);
            fs::remove_dir_all(&dir).map_err(|source| Error::io("delete", &dir, source))?;
        }
        Ok(())
    }

    /// Who has which address of a network.
    pub fn given(&self, name: &str) -> Result<Vec<Given>, Error> {
        Ok(read(&self.dir_of(name).join("addresses.json"))?.unwrap_or_default())
    }

    pub(super) fn remember(&self, name: &str, given: &[Given]) -> Result<(), Error> {
        write(&self.dir_of(name).join("addresses.json"), given)
    }

    pub(super) fn dir_of(&self, name: &str) -> PathBuf {
        self.fleet.own_path(DIR).join(name)
    }

    /// Deletes what changes left that were cut off.
    fn sweep(&self) {
        let dir = self.fleet.own_path(DIR);
        files::sweep(&dir);
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.path().is_dir()) {
            files::sweep(&entry.path());
            if let Some(name) = entry.file_name().to_str() {
                files::sweep(&self.files(name).run);
            }
        }
    }

    /// One change at a time. Its file's name is none of a network.
    pub(super) fn lock(&self) -> Result<File, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let path = self.fleet.own(DIR)?.join(".lock");
            match crate::lock::try_exclusive(&path) {
                Ok(Some(file)) => {
                    self.sweep();
                    return Ok(file);
                }
                // The last network may have gone, and the directory with it.
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::io("lock", &path, error));
                }
                _ if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                _ => {
                    return Err(Error::Locked {
                        seconds: PATIENCE.as_secs(),
                    });
                }
            }
        }
    }
}

pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(None),
        text => text.map_err(|source| Error::io("read", path, source))?,
    };
    let value = serde_json::from_str(&text).map_err(|source| Error::Record {
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(value))
}

pub(super) fn write<T: serde::Serialize + ?Sized>(path: &Path, value: &T) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|source| Error::Record {
        path: path.to_owned(),
        source,
    })?;
    files::make_directories(path.parent().unwrap_or(path))?;
    Ok(files::replace_file(path, &text)?)
}
