//! What the hook does, step by step.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::confine::{bare, chrooted, confined};
use super::{Inherited, Instructions, Output, Report};
use crate::customise::run::depmod;
use crate::error::{Error, io_at};
use crate::process::Tool;

/// The hook is ended together with the program that started it.
static GO_ON: AtomicBool = AtomicBool::new(false);

pub(super) fn carry_out(
    root: &Path,
    instructions: &Instructions,
    inherited: &Inherited,
) -> Result<(), Error> {
    let root = match &instructions.overlay {
        Some(overlay) => overlay.mount()?,
        None => root.to_owned(),
    };
    eprintln!("{}", Report::Customise.line());
    customise(&root, instructions, inherited)?;
    eprintln!("{}", Report::StoreDisk.line());
    bare(&root, || match &instructions.output {
        Output::Disk { maker, file } => maker
            .make(&root, &inherited.out, &GO_ON)
            .map_err(|error| outer_name(error, file)),
        Output::Tree(dir) => copy_tree(&root, dir),
    })
}

fn customise(root: &Path, instructions: &Instructions, inherited: &Inherited) -> Result<(), Error> {
    let guest = &instructions.customisation;
    let debian = instructions.debian.as_ref();
    let container = instructions.container.as_ref();
    let runs_init = match container {
        Some(container) => confined(root, || container.boots_its_init(Path::new("/")))?,
        None => true,
    };
    // Our init loads none beside those of the initrd.
    let releases = match runs_init {
        true => add_modules(root, instructions)?,
        false => BTreeSet::new(),
    };
    let resolver = fs::read("/etc/resolv.conf").unwrap_or_default();
    confined(root, || {
        let root = Path::new("/");
        guest.edit(root, &inherited.contents, debian)?;
        crate::customise::lend_resolver(root, &resolver)
    })?;
    chrooted(root, || {
        // A container image may come without; the tables are those of the kernel's store entry.
        let releases = releases.iter().filter(|_| container.is_none());
        for release in releases {
            depmod(release)?;
        }
        guest.run(&mut Lines)
    })?;
    confined(root, || {
        let root = Path::new("/");
        guest.finish(root, debian.is_some())?;
        match container {
            Some(container) => container.place(root, guest.uses_dhcp()),
            None => Ok(()),
        }
    })
}

/// Puts a kernel's modules into the tree and gives the releases that they are for.
fn add_modules(root: &Path, instructions: &Instructions) -> Result<BTreeSet<String>, Error> {
    let mut sources = Vec::new();
    for (number, package) in instructions.kernel_packages.iter().enumerate() {
        let unpacked = root.join(format!("tmp/microvm-kernel-{number}"));
        crate::kernel::unpack(package, &unpacked, &GO_ON)?;
        sources.extend(crate::kernel::module_dirs(&unpacked));
    }
    sources.extend(instructions.modules.clone());
    let mut releases = BTreeSet::new();
    for source in sources {
        let release = source.file_name().unwrap_or_default().to_string_lossy();
        let target = modules_in(root)?.join(&*release);
        if target.is_symlink() {
            return Err(leads_outside(root));
        }
        Tool::new("cp", "coreutils")
            .args(["--recursive", "--no-target-directory", "--preserve=mode"])
            .args([&source, &target])
            .writes_to(&target)
            .run(&GO_ON, &mut |_, _| {})?;
        releases.insert(release.into_owned());
    }
    Ok(releases)
}

/// `lib/modules` of a tree, which is not confined yet: no link may lead out of it.
fn modules_in(root: &Path) -> Result<PathBuf, Error> {
    let base = root.canonicalize().map_err(io_at("find", root))?;
    let mut dir = base.clone();
    for name in ["lib", "modules"] {
        dir.push(name);
        if dir.symlink_metadata().is_err() {
            fs::create_dir(&dir).map_err(io_at("create", &dir))?;
        }
        dir = dir.canonicalize().map_err(io_at("find", &dir))?;
        if !dir.starts_with(&base) {
            return Err(leads_outside(root));
        }
    }
    Ok(dir)
}

fn leads_outside(tree: &Path) -> Error {
    Error::Tree {
        tree: tree.to_owned(),
        problem: "a link `lib/modules` that leads out of it".into(),
    }
}

/// Names the file as the user knows it.
fn outer_name(error: Error, file: &Path) -> Error {
    match error {
        Error::NoSpace { .. } => Error::NoSpace {
            place: file.to_owned(),
        },
        other => other,
    }
}

/// Copies the tree as it is: owners, modes, attributes, links and holes.
fn copy_tree(root: &Path, dir: &Path) -> Result<(), Error> {
    Tool::new("cp", "coreutils")
        .args([
            "--archive",
            "--one-file-system",
            "--no-target-directory",
            "--reflink=auto",
        ])
        .args([
            "--sparse=always".as_ref(),
            root.as_os_str(),
            dir.as_os_str(),
        ])
        .writes_to(dir)
        .run(&GO_ON, &mut |_, _| {})
}

/// What the guest's programs say goes where mmdebstrap's output goes.
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::stderr().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
