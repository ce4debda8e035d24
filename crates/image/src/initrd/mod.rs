//! Our initrd: one static program, its configuration, and exactly the modules that a VM needs.

mod boot;
mod cpio;
pub mod helpers;
mod modules;
mod wanted;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use spec::Vm;
use spec::vm::Arch;

use crate::context::InitrdStep;
use cpio::Archive;
use modules::Modules;

/// guest-init, static, as `build.rs` made it; empty where it could not.
const fn guest_init(arch: Arch) -> &'static [u8] {
    match arch {
        Arch::X86_64 => include_bytes!(concat!(env!("OUT_DIR"), "/guest-init-x86_64")),
        Arch::Aarch64 => include_bytes!(concat!(env!("OUT_DIR"), "/guest-init-aarch64")),
    }
}

/// Makes the initrd that ends in the guest's own init.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnInitrd;

/// Why an initrd could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitrdError {
    #[error(
        "Kernel {release} has no module `{module}`, which {reason} needs; \
         `kernel = \"generic\"` has more modules than `\"cloud\"`"
    )]
    NoModule {
        module: &'static str,
        release: String,
        reason: &'static str,
    },
    #[error("Module `{file}` of kernel {release} depends on `{needed}`, which is not there")]
    NoDependency {
        file: String,
        needed: String,
        release: String,
    },
    #[error("Cannot read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("Module `{0}` is compressed in a way that is not known; known are .xz, .zst and .gz")]
    Compression(PathBuf),
    #[error("Cannot write the initrd")]
    Write(#[from] io::Error),
}

impl InitrdStep for OwnInitrd {
    fn serves(&self, arch: Arch) -> bool {
        !guest_init(arch).is_empty()
    }

    fn identity(&self, vm: &Vm) -> Vec<u8> {
        let mut identity = guest_init(vm.arch).to_vec();
        identity.extend(boot::config(vm, Vec::new()).render().into_bytes());
        for wanted in wanted::modules(vm) {
            identity.extend(wanted.name.as_bytes());
            identity.push(b'\n');
        }
        identity
    }

    fn write(
        &self,
        vm: &Vm,
        modules: Option<&Path>,
        out: &Path,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut file = BufWriter::new(File::create(out)?);
        write(vm, modules, &mut file)?;
        file.flush()?;
        Ok(())
    }
}

/// Without a directory of modules the kernel has what it needs built in.
fn write(vm: &Vm, directory: Option<&Path>, out: &mut dyn Write) -> Result<(), InitrdError> {
    let mut names = Vec::new();
    let mut archive = Archive::new(out);
    for directory in ["dev", "modules", "proc", "run", "sys"] {
        archive.directory(directory)?;
    }
    // The kernel opens it for guest-init before there is a devtmpfs.
    archive.character_device("dev/console", 5, 1)?;
    if let Some(directory) = directory {
        for file in files(vm, directory)? {
            let (name, content) = read_module(directory, &file)?;
            archive.file(&format!("modules/{name}"), 0o644, &content)?;
            names.push(name);
        }
    }
    let config = boot::config(vm, names).render();
    archive.file(
        guest_init::config::FILE.trim_start_matches('/'),
        0o644,
        config.as_bytes(),
    )?;
    archive.file("init", 0o755, guest_init(vm.arch))?;
    Ok(archive.finish()?)
}

/// Files of the modules that this VM needs, dependencies first.
fn files(vm: &Vm, directory: &Path) -> Result<Vec<String>, InitrdError> {
    let read = |name: &str| {
        let path = directory.join(name);
        fs::read_to_string(&path).map_err(|source| InitrdError::Read { path, source })
    };
    let release = directory.file_name().unwrap_or_default().to_string_lossy();
    // Absent where a kernel has everything as modules.
    let builtin = read("modules.builtin").unwrap_or_default();
    Modules::parse(&release, &read("modules.dep")?, &builtin).resolve(&wanted::modules(vm))
}

/// Name without directories and compression, and the module itself.
fn read_module(directory: &Path, file: &str) -> Result<(String, Vec<u8>), InitrdError> {
    let path = directory.join(file);
    let packed = fs::read(&path).map_err(|source| InitrdError::Read {
        path: path.clone(),
        source,
    })?;
    let content = modules::unpack(&path, packed)?;
    let name = Path::new(file)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let end = name.find(".ko").map_or(name.len(), |at| at + 3);
    Ok((name[..end].to_owned(), content))
}

#[cfg(test)]
mod tests;
