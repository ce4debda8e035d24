//! Short names for sources: `registry.toml` in the configuration directory.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, OrKind, Result};

/// The name that stands for the examples that ship with the program.
pub const BUILT_IN: &str = "microvm";

/// Short names of one user, and those of the system below them.
pub struct Registry {
    file: PathBuf,
    own: BTreeMap<String, String>,
    system: BTreeMap<String, String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    sources: BTreeMap<String, String>,
}

const SYSTEM_FILE: &str = "/etc/microvm/registry.toml";

impl Registry {
    pub fn open(config_dir: &Path) -> Result<Self> {
        let file = config_dir.join("registry.toml");
        let system = Path::new(SYSTEM_FILE);
        Ok(Self {
            own: read(&file)?,
            system: if file == system {
                BTreeMap::new()
            } else {
                read(system)?
            },
            file,
        })
    }

    /// Letters, digits, `-` and `_`, beginning with a letter.
    pub fn is_name(text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.own
            .get(name)
            .or_else(|| self.system.get(name))
            .map(String::as_str)
    }

    /// All names with their sources, in order.
    pub fn all(&self) -> BTreeMap<&str, &str> {
        let entries = self.system.iter().chain(&self.own);
        entries
            .map(|(name, source)| (name.as_str(), source.as_str()))
            .collect()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all().into_keys()
    }

    /// Replaces the source where the name is there already; gives the one that was.
    pub fn add(&mut self, name: &str, source: &str) -> Result<Option<String>> {
        let before = self.own.insert(name.to_owned(), source.to_owned());
        self.write()?;
        Ok(before)
    }

    pub fn remove(&mut self, name: &str) -> Result<bool> {
        let found = self.own.remove(name).is_some();
        if found {
            self.write()?;
        }
        Ok(found)
    }

    fn write(&self) -> Result<()> {
        let directory = self.file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory).map_err(|error| cannot_write(&self.file, error))?;
        let text = toml::to_string(&File {
            sources: self.own.clone(),
        })
        .or_kind(Kind::Other)?;
        let mut temporary = tempfile::NamedTempFile::new_in(directory)
            .map_err(|error| cannot_write(&self.file, error))?;
        temporary
            .write_all(text.as_bytes())
            .and_then(|()| temporary.as_file().sync_all())
            .map_err(|error| cannot_write(&self.file, error))?;
        temporary
            .persist(&self.file)
            .map_err(|error| cannot_write(&self.file, error.error))?;
        Ok(())
    }
}

fn cannot_write(file: &Path, error: std::io::Error) -> Error {
    Error::new(
        Kind::Storage,
        format!("Cannot write `{}`: {error}", file.display()),
    )
}

fn read(file: &Path) -> Result<BTreeMap<String, String>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => {
            return Err(Error::new(
                Kind::NotFound,
                format!("Cannot read `{}`: {error}", file.display()),
            ));
        }
    };
    let parsed: File = toml::from_str(&text).map_err(|error| {
        Error::new(
            Kind::Definition,
            format!("`{}` is not a registry: {error}", file.display()),
        )
    })?;
    Ok(parsed.sources)
}
