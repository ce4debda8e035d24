//! From a source to what is installed under a name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use host::fleet::Fleet;
use image::store::Store;
use spec::names::VmName;

use crate::definition::Definition;
use crate::difference::Difference;
use crate::error::{Error, Kind, OrKind, Result};
use crate::flake::{Flake, Realised};
use crate::package;
use crate::places::Places;
use crate::reference::{Reference, Source};

/// Where a VM comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A source, as it is kept in the VM's directory.
    Source { source: Source, text: String },
    /// The definition itself, from the host's configuration.
    Inline(Inline),
}

/// A definition that stands in another file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inline {
    /// As people are shown it.
    pub shown: String,
    /// Where relative paths resolve and `microvm.lock` is.
    pub base_dir: PathBuf,
    /// In the words of `microvm.toml`.
    pub text: String,
}

/// A package that is about to be installed; safe from collection while it is held.
pub struct Ready {
    pub path: PathBuf,
    store: Store,
    /// Of a flake: Nix keeps it until it is installed.
    _kept: Option<Realised>,
}

impl Origin {
    /// From the command line: what is relative is taken from here, for good.
    pub fn given(text: &str, name: &VmName) -> Result<Self> {
        let here = std::env::current_dir().or_kind(Kind::Usage)?;
        Self::given_in(text, name, &here)
    }

    /// The same, with another directory that relative paths are taken from.
    pub fn given_in(text: &str, name: &VmName, base_dir: &Path) -> Result<Self> {
        if text.contains(char::is_control) {
            let message = format!("`{}` has a control character", text.escape_default());
            return Err(
                Error::new(Kind::Usage, message).hint("a source is a directory or a git URL")
            );
        }
        let reference: Reference = text.parse().or_kind(Kind::Usage)?;
        if let Some(other) = reference.name.filter(|other| **other != **name) {
            return Err(Error::new(
                Kind::Usage,
                format!("`{text}` names the VM `{other}`, but `{name}` is to be installed"),
            )
            .hint("a VM is installed under its own name; without `#NAME` that is taken"));
        }
        let source = match reference.source {
            Source::Path(path) => {
                let path = std::path::absolute(base_dir.join(path)).or_kind(Kind::Usage)?;
                Source::Path(path)
            }
            other => other,
        };
        let text = source.to_string();
        if text.contains(['#', '\n']) {
            let message = format!(
                "`{}` cannot be kept as a source; it must have no `#`, which stands before a \
                 name, and no line break",
                text.escape_debug()
            );
            return Err(Error::new(Kind::Usage, message));
        }
        Ok(Self::Source { source, text })
    }

    /// From a VM's directory.
    pub fn kept(text: &str) -> Result<Self> {
        let reference: Reference = text.parse().or_kind(Kind::Definition)?;
        Ok(Self::Source {
            source: reference.source,
            text: text.to_owned(),
        })
    }

    /// What is kept in the VM's directory.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Source { text, .. } => Some(text),
            Self::Inline(_) => None,
        }
    }

    /// As people are shown it.
    pub fn shown(&self) -> &str {
        match self {
            Self::Source { text, .. } => text,
            Self::Inline(inline) => &inline.shown,
        }
    }

    /// Builds the VM of that name, or takes the package that the source is.
    pub fn build(&self, name: &VmName, places: &Places, update: bool) -> Result<Ready> {
        if let Some(path) = self.package() {
            let store = Store::open(&places.store)?;
            return Ok(Ready {
                path,
                store,
                _kept: None,
            });
        }
        if let Some(flake) = self.flake(places)? {
            if update {
                flake.update_inputs()?;
            }
            let built = flake.build(name, None, places)?;
            return Ok(Ready {
                path: built.path.clone(),
                store: Store::open(&places.store)?,
                _kept: Some(built),
            });
        }
        let definition = self.definition(places)?;
        let vm = definition.vm(Some(name))?;
        let built = package::build(&vm, &definition, places, update)?;
        Ok(Ready {
            path: built.path,
            store: built.store,
            _kept: None,
        })
    }

    /// What the source would give now, as far as that is known without building it.
    pub fn difference(
        &self,
        name: &VmName,
        installed: &Path,
        places: &Places,
    ) -> Result<Difference> {
        if let Some(path) = self.package() {
            return Ok(Difference::between(installed, &path));
        }
        if let Some(flake) = self.flake(places)? {
            return Ok(Difference::to_package(installed, &flake.runner(name)?.out));
        }
        let definition = self.definition(places)?;
        let vm = definition.vm(Some(name))?;
        let lock = image::Lock::load(&definition.lock)?;
        Ok(Difference::to_definition(
            installed,
            &vm,
            image::pinned(&vm, &lock),
        ))
    }

    /// Whether it has a VM of that name that can be built.
    pub fn check(&self, name: &VmName, places: &Places) -> Result<()> {
        if self.package().is_some() {
            return Ok(());
        }
        match self.flake(places)? {
            Some(flake) => flake.runner(name).map(drop),
            None => self.definition(places)?.vm(Some(name)).map(drop),
        }
    }

    /// The flake that it is.
    fn flake(&self, places: &Places) -> Result<Option<Flake>> {
        match self {
            Self::Source { source, .. } => Flake::of(source, places),
            Self::Inline(_) => Ok(None),
        }
    }

    /// Evaluates each flake once for all VMs that come from it. What is wrong there is told with
    /// the VM that it is about.
    pub fn prepare(origins: &[(VmName, Self)], places: &Places) {
        let mut flakes: BTreeMap<Flake, Vec<&str>> = BTreeMap::new();
        for (name, origin) in origins {
            if let Ok(Some(flake)) = origin.flake(places) {
                flakes.entry(flake).or_default().push(name);
            }
        }
        for (flake, names) in flakes.iter().filter(|(_, names)| names.len() > 1) {
            let _ = flake.prepare(names);
        }
    }

    fn definition(&self, places: &Places) -> Result<Definition> {
        match self {
            Self::Source { source, .. } => Definition::find(source, places),
            Self::Inline(inline) => Ok(Definition::inline(inline)),
        }
    }

    fn package(&self) -> Option<PathBuf> {
        match self {
            Self::Source {
                source: Source::Path(path),
                ..
            } if path.join("bin/microvm-run").exists() => path.canonicalize().ok(),
            _ => None,
        }
    }
}

impl Ready {
    /// Installs it under a new name.
    pub fn create(
        &self,
        fleet: &Fleet,
        name: &VmName,
        origin: &Origin,
        managed: bool,
    ) -> Result<()> {
        crate::fleet::root(&self.store, fleet, name)?;
        fleet.create(name, &self.path, origin.text(), managed)?;
        crate::service::allow_paths(fleet, name)?;
        crate::service::say_if_unseen(fleet, name)
    }

    /// Installs it in place of what is there, and says whether that was another.
    pub fn update(
        &self,
        fleet: &Fleet,
        name: &VmName,
        origin: &Origin,
        managed: bool,
    ) -> Result<bool> {
        crate::fleet::root(&self.store, fleet, name)?;
        let changed = fleet.update(name, &self.path, origin.text(), managed)?;
        crate::service::allow_paths(fleet, name)?;
        if changed {
            crate::service::say_if_unseen(fleet, name)?;
        }
        Ok(changed)
    }
}
