//! Runner packages of NixOS guests, in the directory that Nix has for them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use backend::package::{Content, Entry};
use backend::plan::GuestFiles;
use spec::Vm;
use spec::guest::GuestSource;

use crate::error::{Error, Kind, OrKind, Result};
use crate::package;

/// Writes the package of a checked VM.
pub fn write(
    vm: &Vm,
    system: Option<&Path>,
    packages: Option<&Path>,
    scripts: &[(String, PathBuf)],
    out: &Path,
) -> Result<()> {
    let share = out.join("share/microvm");
    fs::create_dir_all(&share).or_kind(Kind::Storage)?;
    let (GuestSource::Given { store_disk }, Some(initrd)) = (&vm.guest.source, &vm.boot.initrd)
    else {
        let message = "The guest is not complete: `kernel` and `initrdPath` bring a NixOS guest";
        return Err(Error::new(Kind::Definition, message));
    };
    let files = GuestFiles {
        kernel: image::given_kernel(vm, &share.join("vmlinux"))?,
        initrd: initrd.clone(),
        store_disk: store_disk.clone(),
        root_tree: None,
        kernel_params: Vec::new(),
    };
    let exe = std::env::current_exe().or_kind(Kind::Other)?;
    // What stands for a system that is not referred to: the disk that it is on.
    let stands = store_disk.as_deref().unwrap_or(initrd);
    let system = system.unwrap_or(stands);
    let mut entries =
        backend::package::entries(vm, &files, system, &exe).or_kind(Kind::Definition)?;
    if let Some(packages) = packages {
        let text = fs::read_to_string(packages).or_kind(Kind::NotFound)?;
        entries.push(Entry {
            path: package::PACKAGES.into(),
            content: Content::File(text),
        });
    }
    for (name, path) in scripts {
        entries.push(script(vm, &entries, name, path)?);
    }
    let wrote = entries
        .iter()
        .try_for_each(|entry| package::write(out, entry));
    wrote.or_kind(Kind::Storage)
}

/// `NAME VERSION` a line, without the hashes that would refer to the paths.
pub fn packages(closure: &str) -> String {
    let names: BTreeSet<String> = closure.lines().filter_map(name_and_version).collect();
    names.into_iter().collect()
}

/// Of `/nix/store/HASH-nginx-1.24.0` the line `nginx 1.24.0`; what has no version is no package.
fn name_and_version(path: &str) -> Option<String> {
    let (_, name) = path.rsplit('/').next()?.split_once('-')?;
    let mut parts = name.match_indices('-').map(|(at, _)| at);
    let is_version = |at: &usize| name[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let at = parts.find(is_version)?;
    Some(format!("{} {}\n", &name[..at], &name[at + 1..]))
}

/// One of `binScripts`, which cannot take the place of a program of ours.
fn script(vm: &Vm, entries: &[Entry], name: &str, path: &Path) -> Result<Entry> {
    let place = Path::new("bin").join(name);
    if entries.iter().any(|entry| entry.path == place) {
        let message = format!(
            "VM `{}`: `binScripts.{name}` would replace the package's own `{}`",
            vm.name,
            place.display()
        );
        return Err(Error::new(Kind::Definition, message).hint("give the script another name"));
    }
    Ok(Entry {
        path: place,
        content: Content::Link(path.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("/nix/store/abc-nginx-1.24.0", Some("nginx 1.24.0\n"))]
    #[case("/nix/store/abc-linux-6.1-modules", Some("linux 6.1-modules\n"))]
    #[case("/nix/store/abc-unit-script", None)]
    #[case("/nix/store/abc", None)]
    fn packages_of_a_closure(#[case] path: &str, #[case] line: Option<&str>) {
        assert_eq!(name_and_version(path).as_deref(), line);
    }
}
