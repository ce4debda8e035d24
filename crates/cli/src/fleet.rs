//! The VMs of the state directory, as the commands see them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use host::fleet::{Fleet, Member, Owner};
use image::store::Store;
use spec::names::VmName;

use crate::error::{Error, Kind, Result};
use crate::places::{self, Places};
use crate::verbs::say;

/// Which state directory a command is for.
#[derive(clap::Args)]
pub struct StateDir {
    /// Where the VMs of this host are [default: /var/lib/microvms]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl StateDir {
    /// Opens it, and finishes changes that were cut off, saying which.
    pub fn open(&self) -> Result<Fleet> {
        open(&self.path())
    }

    /// Whether the command line names it.
    pub fn is_given(&self) -> bool {
        self.state_dir.is_some()
    }

    pub fn path(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(places::state_dir)
    }
}

/// Which of its VMs, several at a time.
#[derive(clap::Args)]
pub struct Several {
    /// Names of the VMs
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    state: StateDir,
}

impl Several {
    pub fn each(&self, act: impl Fn(&Fleet, &VmName) -> Result<()> + Sync) -> Result<ExitCode> {
        let names = names(&self.names)?;
        let fleet = self.state.open()?;
        for_each_at_once(&names, |name| act(&fleet, name))
    }
}

/// Opens a state directory, and finishes changes that were cut off, saying which.
pub fn open(dir: &Path) -> Result<Fleet> {
    let fleet = Fleet::new(dir, Owner::here())?;
    match fleet.mend() {
        Ok(mended) => mended.iter().for_each(|mended| say(capitalised(mended))),
        // Who may only look cannot mend either; each VM says what is unfinished.
        Err(error) if error.kind() == host::Kind::Missing => {}
        Err(error) => return Err(error.into()),
    }
    Ok(fleet)
}

fn capitalised(text: &impl std::fmt::Display) -> String {
    let text = text.to_string();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => text,
    }
}

/// An installed VM, or an error that says what there is.
pub fn member(fleet: &Fleet, name: &VmName) -> Result<Member> {
    fleet.member(name).map_err(|error| {
        let absent = matches!(error, host::fleet::Error::NotInstalled { .. });
        let untrusted = matches!(error, host::fleet::Error::Untrusted { .. });
        let error = Error::from(error);
        if untrusted {
            return error.hint("`microvm migrate` takes over what a host of MicroVM.nix left");
        }
        if !absent {
            return error;
        }
        match fleet.names().unwrap_or_default().as_slice() {
            [] => error
                .hint("`microvm create NAME` installs a VM; `--state-dir DIR` names another place"),
            names => {
                let names: Vec<&str> = names.iter().take(10).map(|name| &**name).collect();
                error.hint(format!("installed are {}", crate::command::listed(&names)))
            }
        }
    })
}

/// Reads names as they were given; wrong ones are told before anything is done.
pub fn names(texts: &[String]) -> Result<Vec<VmName>> {
    texts
        .iter()
        .map(|text| Ok(host::fleet::name(text)?))
        .collect()
}

/// Keeps from `microvm gc` what the links of a VM lead to. To be called before a link appears:
/// the collector forgets the roots of those that are not there.
pub fn keep_from_gc(fleet: &Fleet, name: &VmName, places: &Places) -> Result<()> {
    let store = Store::open(&places.store)?;
    root(&store, fleet, name)
}

pub fn root(store: &Store, fleet: &Fleet, name: &VmName) -> Result<()> {
    for link in ["current", "booted", "old"] {
        store.add_root(&fleet.dir_of(name).join(link))?;
    }
    // Who is not root has no say there, and builds nothing there either.
    if host::user::is_root() {
        fleet.keep_in_nix(name)?;
    }
    Ok(())
}

/// Does something for each of several VMs, though one of them fails; the first failure's kind is
/// the program's.
pub fn for_each<T>(items: &[T], mut act: impl FnMut(&T) -> Result<()>) -> Result<ExitCode> {
    let mut failed: Option<Kind> = None;
    for item in items {
        match act(item) {
            Ok(()) => {}
            Err(error) if items.len() == 1 => return Err(error),
            Err(error) if error.kind() == Kind::Interrupted => return Err(error),
            Err(error) => {
                error.print_and_code();
                failed.get_or_insert(error.kind());
            }
        }
    }
    Ok(failed.map_or(ExitCode::SUCCESS, |kind| ExitCode::from(kind as u8)))
}

/// The same, several at a time, where each waits most of its time.
pub fn for_each_at_once<T: Sync>(
    items: &[T],
    act: impl Fn(&T) -> Result<()> + Sync,
) -> Result<ExitCode> {
    const AT_ONCE: usize = 16;
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<Result<()>>>> = items.iter().map(|_| Mutex::default()).collect();
    let work = || {
        while let Some((item, done)) = {
            let number = next.fetch_add(1, Ordering::Relaxed);
            items.get(number).zip(done.get(number))
        } {
            let result = act(item);
            *done.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..items.len().min(AT_ONCE) {
            scope.spawn(work);
        }
    });
    for_each(&done, |done| {
        let result = done.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.unwrap_or(Ok(()))
    })
}

/// Says once, where root installs, that hypervisors would run as root.
pub fn say_if_user_is_missing() {
    if host::user::is_root() && host::service::Account::here().is_none() {
        eprintln!(
            "hint: `microvm host install` makes the user that hypervisors run as; without it they run as root"
        );
    }
}
