//! Flakes as sources: `nixosConfigurations.NAME.config.microvm.declaredRunner`, by the `nix`
//! program. It evaluates a flake once for all VMs that a command is about.

mod evaluate;
mod hint;
mod nix;
mod realise;
mod trace;

use std::fmt;
use std::path::{Path, PathBuf};

pub use nix::{diff_closures, show_trace};
pub use realise::Realised;

use crate::error::{Error, Kind, OrKind, Result};
use crate::places::Places;
use crate::reference::Source;

/// A flake, as `nix` is told of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flake {
    url: String,
}

/// Where the runner package of a VM is, once it is built, and what builds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runners {
    pub derivation: PathBuf,
    pub out: PathBuf,
}

impl fmt::Display for Flake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Flake {
    /// The flake that a source is; `None` for those with a definition file of ours, which comes
    /// first where both are.
    pub fn of(source: &Source, places: &Places) -> Result<Option<Self>> {
        Ok(match source {
            Source::BuiltIn => None,
            Source::Path(path) => Self::in_directory(path)?,
            Source::Git(git) => {
                let checkout = crate::git::check_out(git, &places.cache)?;
                let inner = git.directory.as_deref().unwrap_or(Path::new("."));
                is_flake(&checkout.join(inner)).then(|| Self {
                    url: git.to_string(),
                })
            }
            Source::Registry(name) => match crate::definition::registered(name, places)? {
                Some(source) => Self::of(&source, places)?,
                None => nix::registry_has(name).then(|| Self { url: name.clone() }),
            },
        })
    }

    fn in_directory(path: &Path) -> Result<Option<Self>> {
        if !is_flake(path) {
            return Ok(None);
        }
        let path = std::path::absolute(path).or_kind(Kind::NotFound)?;
        let url = path.to_str().filter(|text| !text.contains(['#', '?', ' ']));
        let url = url.ok_or_else(|| {
            let message = format!("`{}` cannot be named to `nix`", path.display());
            Error::new(Kind::Usage, message).hint("its path must have no `#`, `?` or space")
        })?;
        Ok(Some(Self {
            url: url.to_owned(),
        }))
    }

    /// The names of its VMs.
    pub fn names(&self) -> Result<Vec<String>> {
        evaluate::names(self)
    }

    /// Evaluates these VMs at once, so that each is known when it is asked for.
    pub fn prepare(&self, names: &[&str]) -> Result<()> {
        evaluate::all(self, names).map(drop)
    }

    /// What the VM of that name is built by; nothing is built.
    pub fn runner(&self, name: &str) -> Result<Runners> {
        evaluate::one(self, name)
    }

    /// The name wanted, or that of the only VM.
    pub fn pick(&self, wanted: Option<&str>) -> Result<String> {
        if let Some(name) = wanted {
            return Ok(name.to_owned());
        }
        let names = self.names()?;
        match &names[..] {
            [only] => Ok(only.clone()),
            [] => Err(self.has_none()),
            [first, ..] => {
                let all: Vec<&str> = names.iter().map(String::as_str).collect();
                let message = format!("`{self}` has several VMs: {}", crate::command::listed(&all));
                Err(Error::new(Kind::Usage, message).hint(format!("name one: `SOURCE#{first}`")))
            }
        }
    }

    /// Has `flake.lock` name what its inputs are now.
    pub fn update_inputs(&self) -> Result<()> {
        nix::update(&self.url)
    }

    fn has_none(&self) -> Error {
        Error::new(
            Kind::NotFound,
            format!("`{self}` has no VM: none of its `nixosConfigurations` has `config.microvm`"),
        )
        .hint("a NixOS configuration becomes a VM with the module `microvm.nixosModules.microvm`")
    }

    /// Builds a VM's runner package; a `link` keeps it, else it is kept as long as the result is
    /// held.
    pub fn build(&self, name: &str, link: Option<&Path>, places: &Places) -> Result<Realised> {
        realise::realise(self, name, &self.runner(name)?, link, places)
    }
}

fn is_flake(directory: &Path) -> bool {
    let has = |name: &str| directory.join(name).is_file();
    has("flake.nix") && !has("microvm.toml") && !has("microvm.json")
}
