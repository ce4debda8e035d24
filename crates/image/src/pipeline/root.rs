//! A guest's root: the store disk, or the tree itself where a share serves it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use spec::Vm;
use spec::vm::StoreKind;

use super::kernel::Kernel;
use crate::context::BuildContext;
use crate::customise::{self, Customisation, gather};
use crate::disk::{DiskMaker, KernelVersion};
use crate::error::{Error, io_at};
use crate::foreign::require_runnable;
use crate::hook::{Instructions, Output};
use crate::store::{Digest, DigestBuilder, Seal, Staging, Store};
use crate::workdir::WorkDir;

/// Runs the hook on a tree: `(work, instructions, contents, out)`.
type Make<'a> = dyn Fn(&WorkDir, Instructions, &Path, &Path) -> Result<(), Error> + 'a;

/// How one source makes its tree.
pub(super) struct Recipe<'a> {
    pub(super) name: &'a str,
    /// All inputs of the source.
    pub(super) digest: DigestBuilder,
    pub(super) kernel: &'a Kernel,
    pub(super) debian: Option<customise::Debian>,
    pub(super) make: &'a Make<'a>,
}

/// What the guest's root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Disk(PathBuf),
    /// The store entry; the tree is `root` in it.
    Tree(PathBuf),
}

pub(super) fn build(
    vm: &Vm,
    recipe: Recipe,
    store: &Store,
    context: &BuildContext,
) -> Result<Root, Error> {
    let mut customisation = Customisation::new(vm)?;
    // Hashed here; written where the disk is made.
    customisation.files = gather(&vm.guest, &mut std::io::sink())?;
    let on_disk = !matches!(vm.store.kind, StoreKind::Share(_));
    let digest = recipe
        .digest
        .clone()
        .json("customisation", &customisation)
        .json("debian", &recipe.debian);
    let digest = match on_disk {
        true => digest.json("store disk", &vm.store.kind).finish(),
        false => digest.field("store disk", "none").finish(),
    };
    let name = format!("{}-{}", recipe.name, if on_disk { "disk" } else { "tree" });
    let entry = add(vm, &name, &digest, recipe, customisation, store, context)?;
    Ok(if on_disk {
        Root::Disk(entry)
    } else {
        Root::Tree(entry)
    })
}

fn add(
    vm: &Vm,
    name: &str,
    digest: &Digest,
    recipe: Recipe,
    mut customisation: Customisation,
    store: &Store,
    context: &BuildContext,
) -> Result<PathBuf, Error> {
    let references = [recipe.kernel.entry.clone()];
    store.add(name, digest, &references, context.interrupted, |staging| {
        require_runnable(vm.arch, context.interrupted)?;
        let release = recipe.kernel.files.release();
        let version = release.as_deref().and_then(KernelVersion::parse);
        let maker = DiskMaker::new(&vm.store.kind, version, context.interrupted)?;
        let work = WorkDir::new()?;
        let (output, seal) = output(maker, staging)?;
        let (contents, files) = write_contents(vm, &work)?;
        customisation.files = files;
        let out = match output {
            Output::Disk { .. } => staging.out(),
            Output::Tree(_) => work.private().join("unused"),
        };
        let instructions = Instructions {
            overlay: None,
            kernel_packages: Vec::new(),
            modules: outer_modules(recipe.kernel, &work, context)?,
            debian: recipe.debian,
            container: None,
            customisation,
            output,
        };
        (recipe.make)(&work, instructions, &contents, &out)?;
        Ok(seal)
    })
}

fn output(maker: Option<DiskMaker>, staging: &Staging) -> Result<(Output, Seal), Error> {
    if let Some(maker) = maker {
        let file = staging.out();
        return Ok((Output::Disk { maker, file }, Seal::ReadOnly));
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NeedsRoot {
            what: "A guest without a store disk (`storeOnDisk = false`)",
            why: "the files of its tree belong to many users, and only root can keep them so on \
                  this host",
        });
    }
    let out = staging.out();
    fs::create_dir(&out).map_err(io_at("create", &out))?;
    Ok((Output::Tree(out.join("root")), Seal::Private))
}

/// The contents of the definition's files, one after another in a private file.
fn write_contents(vm: &Vm, work: &WorkDir) -> Result<(PathBuf, Vec<customise::PlacedFile>), Error> {
    let path = work.private().join("contents");
    let mut file = File::create(&path).map_err(io_at("create", &path))?;
    let files = gather(&vm.guest, &mut file)?;
    Ok((path, files))
}

/// Modules of a kernel that did not come with the guest, where the hook can read them.
fn outer_modules(
    kernel: &Kernel,
    work: &WorkDir,
    context: &BuildContext,
) -> Result<Option<PathBuf>, Error> {
    let (false, Some(modules)) = (kernel.of_guest, &kernel.files.modules) else {
        return Ok(None);
    };
    let release = modules.file_name().unwrap_or_default();
    let copy = work.repository().join(release);
    crate::process::Tool::new("cp", "coreutils")
        .args(["--recursive", "--no-target-directory"])
        .args([modules, &copy])
        .writes_to(&copy)
        .run(context.interrupted, &mut |_, _| {})?;
    Ok(Some(copy))
}
