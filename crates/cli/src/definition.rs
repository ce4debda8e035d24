//! From a reference to checked definitions: finds the source, reads its file, checks it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use backend::refused::Refusal;
use spec::Vm;
use spec::read::{Checked, HostDefaults, Problem};

use crate::command::listed;
use crate::error::{Error, Kind, OrKind, Result};
use crate::git;
use crate::installation::Inline;
use crate::places::Places;
use crate::reference::{GitSource, Source};
use crate::registry::{BUILT_IN, Registry};

const EXAMPLES: &str = include_str!("../../../examples/microvm.toml");

/// The definition file of a source, read.
pub struct Definition {
    /// As people are shown it.
    pub shown: String,
    /// Where relative build-time paths resolve.
    pub base_dir: PathBuf,
    /// Where `microvm.lock` is.
    pub lock: PathBuf,
    text: String,
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Toml,
    Json,
}

impl Definition {
    /// Reads the definition file of a source; nothing is checked yet.
    pub fn find(source: &Source, places: &Places) -> Result<Self> {
        match source {
            Source::BuiltIn => Ok(Self {
                shown: format!("{BUILT_IN} (built in)"),
                base_dir: PathBuf::from("/"),
                lock: places.cache.join("locks/microvm.lock"),
                text: EXAMPLES.to_owned(),
                format: Format::Toml,
            }),
            Source::Path(path) => Self::in_path(path),
            Source::Git(git) => Self::in_git(git, places),
            Source::Registry(name) => Self::find(&look_up(name, places)?, places),
        }
    }

    /// A definition that stands in another file.
    pub fn inline(inline: &Inline) -> Self {
        Self {
            shown: inline.shown.clone(),
            base_dir: inline.base_dir.clone(),
            lock: inline.base_dir.join("microvm.lock"),
            text: inline.text.clone(),
            format: Format::Toml,
        }
    }

    /// One that the program wrote; it names files by absolute paths.
    pub fn generated(shown: &str, lock: PathBuf, text: String) -> Self {
        Self {
            shown: shown.to_owned(),
            base_dir: PathBuf::from("/"),
            lock,
            text,
            format: Format::Toml,
        }
    }

    /// Checks the text; every problem of every VM at once.
    pub fn check(&self) -> Checked {
        let source = spec::read::Source {
            file: &self.shown,
            base_dir: &self.base_dir,
            host: host_defaults(),
        };
        match self.format {
            Format::Toml => spec::read::check_toml(&source, &self.text, refusals),
            Format::Json => spec::read::check_json(&source, &self.text, refusals),
        }
    }

    /// The VM of that name, or the only one; what is wrong with others is not looked at.
    pub fn vm(&self, name: Option<&str>) -> Result<Vm> {
        let checked = self.check();
        let name = self.pick(&checked, name)?;
        let problems = checked.problems.of(Some(&name));
        let mut vms = checked.sound.vms.into_values();
        match vms.find(|vm| *vm.name == *name) {
            Some(vm) if problems.is_empty() => Ok(vm),
            _ => Err(problems).or_kind(Kind::Definition),
        }
    }

    /// The name of a VM that is declared: the one wanted, or the only one.
    pub fn pick(&self, checked: &Checked, wanted: Option<&str>) -> Result<String> {
        let mut declared: Vec<&str> = checked.declared.iter().map(String::as_str).collect();
        declared.sort_unstable();
        let shown = &self.shown;
        match (wanted, &declared[..]) {
            // What is wrong with the file as a whole comes before what is not in it.
            (_, []) => Err(checked.problems.clone()).or_kind(Kind::Definition),
            (Some(name), names) if names.contains(&name) => Ok(name.to_owned()),
            (None, [only]) => Ok((*only).to_owned()),
            (Some(name), names) => Err(Error::new(
                Kind::NotFound,
                format!("`{shown}` has no VM `{name}`; it has {}", listed(names)),
            )),
            (None, names) => Err(Error::new(
                Kind::Usage,
                format!("`{shown}` has several VMs: {}", listed(names)),
            )
            .hint(format!("name one: `SOURCE#{}`", names[0]))),
        }
    }

    fn in_path(path: &Path) -> Result<Self> {
        let absolute = std::path::absolute(path).or_kind(Kind::NotFound)?;
        let file = if absolute.is_dir() {
            file_in(&absolute, path)?
        } else {
            absolute
        };
        let shown = match path.is_dir() {
            true => path.join(file.file_name().unwrap_or_default()),
            false => path.to_owned(),
        };
        Self::read(&file, shown.strip_prefix("./").unwrap_or(&shown))
    }

    fn read(file: &Path, shown: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Error::new(
                Kind::NotFound,
                format!("Cannot read `{}`: {error}", shown.display()),
            )
        })?;
        let base_dir = file.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self {
            shown: shown.display().to_string(),
            lock: base_dir.join("microvm.lock"),
            base_dir,
            text,
            format: if file.extension().is_some_and(|e| e == "json") {
                Format::Json
            } else {
                Format::Toml
            },
        })
    }

    fn in_git(git: &GitSource, places: &Places) -> Result<Self> {
        let checkout = git::check_out(git, &places.cache)?;
        let directory = match &git.directory {
            Some(inner) => checkout.join(inner),
            None => checkout.clone(),
        };
        let real = directory.canonicalize().map_err(|_| {
            Error::new(
                Kind::NotFound,
                format!(
                    "`{git}` has no directory `{}`",
                    directory
                        .strip_prefix(&checkout)
                        .unwrap_or(&directory)
                        .display()
                ),
            )
        })?;
        if !real.starts_with(checkout.canonicalize().or_kind(Kind::Storage)?) {
            return Err(Error::new(
                Kind::NotFound,
                format!("`{git}` leads out of its repository"),
            ));
        }
        let file = file_in(&real, &directory)?;
        let mut definition = Self::read(&file, &file)?;
        definition.shown = format!(
            "{git}/{}",
            file.file_name().unwrap_or_default().to_string_lossy()
        );
        if !definition.lock.exists() {
            definition.lock = places
                .cache
                .join("locks")
                .join(format!("{}.lock", git::name_of(git)));
        }
        Ok(definition)
    }
}

/// What the chosen hypervisor cannot do.
pub fn refusals(vm: &spec::Vm) -> Vec<Problem> {
    let refusals = backend::features::refusals(vm).into_iter();
    let problem = |refusal: Refusal| Problem {
        kind: spec::read::Kind::Unsupported,
        value: Some(refusal.value),
        ..Problem::about(refusal.option, refusal.message)
    };
    refusals.map(problem).collect()
}

/// The architecture that this program was built for.
pub fn own_arch() -> spec::vm::Arch {
    if cfg!(target_arch = "aarch64") {
        spec::vm::Arch::Aarch64
    } else {
        spec::vm::Arch::X86_64
    }
}

/// Asked once: a host may declare a thousand VMs.
fn host_defaults() -> HostDefaults {
    static HERE: OnceLock<HostDefaults> = OnceLock::new();
    *HERE.get_or_init(|| HostDefaults {
        arch: own_arch(),
        mem_mib: host::probe::memory_mib(Path::new("/proc")),
        cpus: std::thread::available_parallelism()
            .ok()
            .and_then(|n| u32::try_from(n.get()).ok()),
    })
}

fn file_in(directory: &Path, shown: &Path) -> Result<PathBuf> {
    for name in ["microvm.toml", "microvm.json"] {
        let file = directory.join(name);
        if file.is_file() {
            return Ok(file);
        }
    }
    let error = Error::new(
        Kind::NotFound,
        format!(
            "No `microvm.toml` or `microvm.json` in `{}`",
            shown.display()
        ),
    );
    Err(error.hint("`microvm init` writes one that runs as it is"))
}

/// What a name stands for; `None` for one that is not known here.
pub fn registered(name: &str, places: &Places) -> Result<Option<Source>> {
    let registry = Registry::open(&places.config)?;
    let Some(source) = registry.get(name) else {
        return Ok((name == BUILT_IN).then_some(Source::BuiltIn));
    };
    let reference: crate::reference::Reference = source.parse().or_kind(Kind::Definition)?;
    match reference.source {
        Source::Registry(other) if other == BUILT_IN => Ok(Some(Source::BuiltIn)),
        Source::Registry(other) => Err(Error::new(
            Kind::Definition,
            format!(
                "The registry's `{name}` stands for another name, `{other}`; it must stand for a source"
            ),
        )),
        source => Ok(Some(source)),
    }
}

fn look_up(name: &str, places: &Places) -> Result<Source> {
    if let Some(source) = registered(name, places)? {
        return Ok(source);
    }
    let registry = Registry::open(&places.config)?;
    let known: Vec<&str> = std::iter::once(BUILT_IN).chain(registry.names()).collect();
    Err(Error::new(
        Kind::NotFound,
        format!("`{name}` is not in the registry; it has {}", listed(&known)),
    )
    .hint(format!(
        "a directory is written `./{name}`; `microvm registry add {name} SOURCE` adds a name"
    )))
}
