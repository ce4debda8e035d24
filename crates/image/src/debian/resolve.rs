//! From what a definition asks for to the exact packages that a lock entry pins.

use std::collections::BTreeSet;

use spec::guest::Debian;

use super::apt::Apt;
use super::archive;
use super::packages::{BASE, Flavour};
use crate::context::BuildContext;
use crate::error::Error;
use crate::lock::{Entry, Package};
use crate::progress::Phase;
use crate::store::Digest;

/// Name of the lock entry that VMs with equal sources share.
///
/// Of the host's archive only that it is the host's goes in: a lock made on one host serves
/// another with another mirror.
pub(crate) fn lock_key(debian: &Debian, arch: &str, flavour: Option<Flavour>) -> String {
    let digest = Digest::of("debian lock entry")
        .field("suite", &debian.suite)
        .field("arch", arch)
        .json("packages", &requested(debian))
        .json("base", &BASE)
        .json("mirror", &debian.mirror)
        .json("kernel", &flavour);
    digest.finish().name()[..16].to_owned()
}

/// Asks the archive.
pub(crate) fn resolve(
    debian: &Debian,
    arch: &'static str,
    flavour: Option<Flavour>,
    context: &BuildContext,
) -> Result<Entry, Error> {
    context.progress.start(Phase::Resolve, &debian.suite);
    let new_apt =
        |sources: &[String]| Apt::new(&context.cache_dir, arch, sources, context.interrupted);
    let asked = archive::sources(debian, &debian.suite, context.interrupted)?;
    let codename = new_apt(&asked[..1])?.codename(&debian.suite)?;
    let sources = archive::sources(debian, &codename, context.interrupted)?;
    let apt = new_apt(&sources)?;
    apt.update()?;
    let packages = apt.closure(&debian.suite, &Vec::from_iter(wanted(debian)))?;
    let kernel = match flavour {
        Some(flavour) => kernel(&apt, &debian.suite, &flavour.package(arch))?,
        None => Vec::new(),
    };
    Ok(Entry {
        suite: debian.suite.clone(),
        codename,
        arch: arch.to_owned(),
        requested: requested(debian),
        sources: sources
            .iter()
            .map(|s| archive::without_password(s))
            .collect(),
        kernel,
        packages,
    })
}

/// What is asked for by name: by us and by the definition.
pub(crate) fn wanted(debian: &Debian) -> BTreeSet<&str> {
    let own = debian.packages.iter().map(String::as_str);
    BASE.into_iter().chain(own).collect()
}

fn requested(debian: &Debian) -> Vec<String> {
    let names: BTreeSet<&String> = debian.packages.iter().collect();
    names.into_iter().cloned().collect()
}

/// The packages with the image and the modules that a metapackage stands for.
fn kernel(apt: &Apt, suite: &str, metapackage: &str) -> Result<Vec<Package>, Error> {
    let mut open = apt.candidate(suite, metapackage)?.kernel_parts();
    let mut packages = BTreeSet::new();
    while let Some(name) = open.pop() {
        let stanza = apt.candidate(suite, &name)?;
        if stanza
            .package()
            .is_some_and(|package| packages.insert(package))
        {
            open.extend(stanza.kernel_parts());
        }
    }
    Ok(packages.into_iter().collect())
}
