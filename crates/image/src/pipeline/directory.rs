//! Guests made from a root tree of the user's own.

use std::fs;
use std::path::Path;

use spec::Vm;

use super::kernel;
use super::root::{self, Recipe};
use super::system::Parts;
use crate::context::BuildContext;
use crate::directory::tree_digest;
use crate::error::{Error, io_at};
use crate::hook::{Handover, Instructions, Listener, Overlay};
use crate::kernel::KernelFiles;
use crate::process::Tool;
use crate::store::{Digest, Store};
use crate::user::require_subordinate_ids;
use crate::workdir::WorkDir;

pub(super) fn build(
    vm: &Vm,
    tree: &Path,
    store: &Store,
    context: &BuildContext,
) -> Result<Parts, Error> {
    if !tree.join("etc").is_dir() || !tree.join("usr").is_dir() {
        return Err(Error::Tree {
            tree: tree.to_owned(),
            problem: "no `etc` and `usr`: it is not the root of a system".into(),
        });
    }
    let kernel = match &vm.boot.kernel {
        spec::vm::Kernel::Path(path) => kernel::from_path(path, store, context)?,
        _ => kernel::from_files(&KernelFiles::find(tree)?, store, context)?,
    };
    let digest = Digest::of("directory")
        .field("content", tree_digest(tree, context)?)
        .field("kernel", &kernel.identity);
    let recipe = Recipe {
        name: "directory",
        digest,
        kernel: &kernel,
        debian: None,
        make: &|work, instructions, contents, out| {
            run_hook(tree, work, instructions, contents, out, context)
        },
    };
    let root = root::build(vm, recipe, store, context)?;
    Ok(Parts::new(kernel, root, "directory"))
}

/// Runs the hook in namespaces of its own; an ordinary user is root in them, with subordinate
/// ids as the other users.
pub(super) fn run_hook(
    tree: &Path,
    work: &WorkDir,
    mut instructions: Instructions,
    contents: &Path,
    out: &Path,
    context: &BuildContext,
) -> Result<(), Error> {
    let overlay = Overlay {
        tree: tree.to_owned(),
        work: work.private().join("overlay"),
    };
    fs::create_dir(&overlay.work).map_err(io_at("create", &overlay.work))?;
    instructions.overlay = Some(overlay);
    let handover = Handover::new(&work.private(), &instructions, contents, out)?;
    let mut unshare = Tool::new("unshare", "util-linux").clean_env().args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
    ]);
    if !nix::unistd::geteuid().is_root() {
        require_subordinate_ids(context.interrupted)?;
        unshare = unshare.args(["--user", "--map-root-user", "--map-auto"]);
    }
    let mut listener = Listener::new(context.progress);
    handover
        .pass_to(unshare.arg("--").arg(work.hook(&context.hook_exe, false)?))
        .arg(tree)
        .writes_to(&work.private())
        .run(context.interrupted, &mut |_, line| listener.line(line))
        .map_err(|error| listener.cause(error))
}
