//! Runner packages: built from a checked VM, linked, found again.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use backend::package::{Content, Entry, Runner};
use backend::plan::GuestFiles;
use backend::refused::Reason;
use image::initrd::OwnInitrd;
use image::store::{Digest, Seal, Store};
use image::{BuildContext, Lock};
use spec::Vm;

use crate::definition::Definition;
use crate::error::{Error, Kind, OrKind, Result};
use crate::places::Places;
use crate::progress::TermProgress;
use crate::reference::{Reference, Source};

/// Where a package says what it runs.
pub const SPEC: &str = "share/microvm/spec.json";

/// Link to the guest's system.
pub const SYSTEM: &str = "share/microvm/system";

/// What every package has, whoever made it.
const RUN: &str = "bin/microvm-run";

/// A runner package in the store; safe from collection while it is held.
pub struct Package {
    pub vm: Vm,
    pub path: PathBuf,
    /// What stands for the guest's system.
    pub system: PathBuf,
    pub store: Store,
}

/// Builds the guest and writes its runner package; both are taken from the store where they are.
pub fn build(vm: &Vm, definition: &Definition, places: &Places, update: bool) -> Result<Package> {
    if !backend::features::built().contains(&vm.hypervisor) {
        let reason = Reason::NoBackend {
            hypervisor: vm.hypervisor,
        };
        return Err(Error::new(Kind::Definition, reason));
    }
    let interrupted = crate::term::interrupted();
    let exe = std::env::current_exe().or_kind(Kind::Other)?;
    let store = Store::open(&places.store)?;
    let mut lock = Lock::load(&definition.lock)?;
    let progress = TermProgress::new();
    let context = BuildContext {
        cache_dir: places.cache.clone(),
        hook_exe: exe.clone(),
        update,
        progress: &progress,
        interrupted,
        initrd: &OwnInitrd,
    };
    let built = image::build(vm, &store, &mut lock, &context)?;
    drop(progress);
    save(&mut lock, &definition.lock)?;
    let files = GuestFiles {
        kernel: built.kernel,
        initrd: built.initrd,
        store_disk: built.store_disk,
        root_tree: built.root_tree,
        kernel_params: built.kernel_params,
    };
    let packages = image::pinned(vm, &lock).map(packages);
    let path = assemble(
        &store,
        vm,
        &files,
        &built.system,
        packages,
        &built.references,
    )?;
    Ok(Package {
        vm: vm.clone(),
        path,
        system: built.system,
        store,
    })
}

/// The runner package of a guest that is in the store.
pub fn assemble(
    store: &Store,
    vm: &Vm,
    files: &GuestFiles,
    system: &Path,
    packages: Option<String>,
    references: &[PathBuf],
) -> Result<PathBuf> {
    let exe = std::env::current_exe().or_kind(Kind::Other)?;
    let mut entries =
        backend::package::entries(vm, files, system, &exe).or_kind(Kind::Definition)?;
    entries.extend(packages.map(|text| Entry {
        path: PACKAGES.into(),
        content: Content::File(text),
    }));
    install(store, vm, &entries, references, crate::term::interrupted())
}

/// Where a package says what its guest was made of: `NAME VERSION ARCHITECTURE` a line.
pub const PACKAGES: &str = "share/microvm/packages";

fn packages(pinned: &image::lock::Entry) -> String {
    let all = pinned.kernel.iter().chain(&pinned.packages);
    all.map(|package| format!("{package}\n")).collect()
}

/// A lock that cannot be written beside a definition of somebody else's costs only the pin.
fn save(lock: &mut Lock, path: &Path) -> Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).or_kind(Kind::Storage)?;
    }
    Ok(lock.save(path)?)
}

fn install(
    store: &Store,
    vm: &Vm,
    entries: &[Entry],
    references: &[PathBuf],
    interrupted: &AtomicBool,
) -> Result<PathBuf> {
    let digest = entries.iter().fold(Digest::of("runner"), |digest, entry| {
        let digest = digest.field("path", entry.path.as_os_str().as_encoded_bytes());
        match &entry.content {
            Content::File(text) => digest.field("file", text),
            Content::Link(target) => digest.field("link", target.as_os_str().as_encoded_bytes()),
        }
    });
    let name = format!("microvm-{}-{}", vm.hypervisor, vm.name);
    let path = store.add(
        &name,
        &digest.finish(),
        references,
        interrupted,
        |staging| {
            let out = staging.out();
            let wrote = entries.iter().try_for_each(|entry| write(&out, entry));
            wrote.map_err(|source| image::Error::Io {
                action: "write",
                path: out,
                source,
            })?;
            Ok(Seal::ReadOnly)
        },
    )?;
    Ok(path)
}

pub fn write(out: &Path, entry: &Entry) -> std::io::Result<()> {
    let path = out.join(&entry.path);
    fs::create_dir_all(path.parent().unwrap_or(out))?;
    match &entry.content {
        Content::File(text) => fs::write(path, text),
        Content::Link(target) => symlink(target, path),
    }
}

/// Refuses what is no link.
pub fn is_free(link: &Path) -> Result<()> {
    if !fs::symlink_metadata(link).is_ok_and(|metadata| !metadata.is_symlink()) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Busy,
        format!(
            "`{}` is there and is no link; it was not touched",
            link.display()
        ),
    )
    .hint("`-o LINK` names another place, `--no-link` makes no link"))
}

/// Makes a link that leads to a package and keeps it; one that is there is replaced at once,
/// anything else is left alone.
pub fn link(package: &Package, link: &Path) -> Result<()> {
    is_free(link)?;
    let mut beside = link.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let cannot = |error: std::io::Error| {
        Error::new(
            Kind::Storage,
            format!("Cannot make the link `{}`: {error}", link.display()),
        )
    };
    symlink(&package.path, &beside).map_err(cannot)?;
    if let Err(error) = fs::rename(&beside, link) {
        let _ = fs::remove_file(&beside);
        return Err(cannot(error));
    }
    Ok(package.store.add_root(link)?)
}

/// The package where a reference is the path of one.
pub fn of_path(reference: &Reference) -> Option<PathBuf> {
    match (&reference.source, &reference.name) {
        (Source::Path(path), None) if path.join(RUN).exists() => path.canonicalize().ok(),
        _ => None,
    }
}

/// Whether a package is one of this program's, and not of another that has the same layout.
pub fn is_own(package: &Path) -> bool {
    package.join(SPEC).is_file()
}

/// Reads what a package runs.
pub fn read(package: &Path) -> Result<Runner> {
    let text = fs::read_to_string(package.join(SPEC)).map_err(|error| {
        let message = format!(
            "`{}` is not a runner package: cannot read `{SPEC}`: {error}",
            package.display()
        );
        Error::new(Kind::NotFound, message)
    })?;
    Runner::parse(&text).or_kind(Kind::Definition)
}
