//! What goes from one host to another when a VM is deployed: what it runs, the store entries that
//! it is made of, and what the other host is to do with them.
//!
//! The runner package itself does not travel: it names this host's store and program, so the other
//! host makes its own. All that varies is in the text that goes ahead, never in a command line that
//! the other host's shell would read.

use std::path::{Path, PathBuf};

use backend::package::Runner;
use backend::plan::GuestFiles;
use image::store::{Carried, Store};
use serde::{Deserialize, Serialize};
use spec::names::VmName;

use crate::error::{Error, Kind, OrKind, Result};
use crate::package;

/// The first line that is sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub version: u32,
    pub name: VmName,
    pub state_dir: Option<PathBuf>,
    /// How long the guest may take to come up.
    pub seconds: u64,
    /// Whether it is started, or only installed.
    pub start: bool,
    pub cargo: Cargo,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cargo {
    Store(Box<Parts>),
    /// A package that `nix copy` has brought.
    Nix(PathBuf),
}

/// What a runner package is made from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    pub runner: Runner,
    /// The sender's, in which the paths are.
    pub store: PathBuf,
    pub system: PathBuf,
    pub packages: Option<String>,
    pub entries: Vec<Carried>,
}

/// What the other host answers with, a line each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Names of the entries that it does not have; a tar archive with them follows.
    Missing(Vec<String>),
    Said(String),
    Done,
    Failed {
        code: u8,
        message: String,
    },
}

impl Manifest {
    pub const VERSION: u32 = 1;
}

impl Cargo {
    /// What is offered of this host's store.
    pub fn entries(&self) -> &[Carried] {
        match self {
            Self::Store(parts) => &parts.entries,
            Self::Nix(_) => &[],
        }
    }
}

impl Parts {
    /// Of a package in this store.
    pub fn of(package: &Path, store: &Store) -> Result<Self> {
        let runner = package::read(package)?;
        let link = package.join("share/microvm/system");
        let system = std::fs::read_link(&link).or_kind(Kind::NotFound)?;
        let paths = paths(&runner.guest).chain([&system]);
        if let Some(outside) = paths
            .into_iter()
            .find(|path| !path.starts_with(store.dir()))
        {
            let message = format!(
                "`{}` is not in the store, so it cannot be deployed",
                outside.display()
            );
            return Err(Error::new(Kind::Definition, message)
                .hint("a guest whose kernel or initrd is a path is for this host alone"));
        }
        let entries = store.closure_of(&[package.to_owned()]);
        let own = package.file_name().unwrap_or_default();
        Ok(Self {
            packages: std::fs::read_to_string(package.join(package::PACKAGES)).ok(),
            entries: entries
                .into_iter()
                .filter(|entry| *entry.name != *own)
                .collect(),
            store: store.dir().to_owned(),
            runner,
            system,
        })
    }

    /// The runner package, in another store that has the entries.
    pub fn assemble(&self, store: &Store) -> Result<PathBuf> {
        let here = |path: &Path| -> Result<PathBuf> {
            let inner = path.strip_prefix(&self.store).or_kind(Kind::Definition)?;
            let first = inner
                .components()
                .next()
                .map(|part| part.as_os_str().to_owned());
            let is_carried =
                |name: &std::ffi::OsStr| self.entries.iter().any(|entry| *entry.name == *name);
            match first.is_some_and(|name| is_carried(&name)) {
                true => Ok(store.dir().join(inner)),
                false => Err(Error::new(
                    Kind::Definition,
                    format!("`{}` is of no entry that was sent", path.display()),
                )),
            }
        };
        let guest = &self.runner.guest;
        let optional = |path: &Option<PathBuf>| path.as_deref().map(here).transpose();
        let files = GuestFiles {
            kernel: here(&guest.kernel)?,
            initrd: here(&guest.initrd)?,
            store_disk: optional(&guest.store_disk)?,
            root_tree: optional(&guest.root_tree)?,
            kernel_params: guest.kernel_params.clone(),
        };
        let names = self
            .entries
            .iter()
            .map(|entry| store.dir().join(&entry.name));
        let references: Vec<PathBuf> = names.collect();
        let system = here(&self.system)?;
        let packages = self.packages.clone();
        package::assemble(
            store,
            &self.runner.vm,
            &files,
            &system,
            packages,
            &references,
        )
    }
}

fn paths(guest: &GuestFiles) -> impl Iterator<Item = &PathBuf> {
    let optional = guest.store_disk.iter().chain(&guest.root_tree);
    [&guest.kernel, &guest.initrd].into_iter().chain(optional)
}
