//! mmdebstrap: unpacks and configures the packages of a lock entry, then hands the tree to our
//! hook.

use std::path::Path;

use super::pool::Pool;
use super::repository;
use crate::context::BuildContext;
use crate::error::Error;
use crate::hook::{Handover, Instructions, Listener};
use crate::lock::Entry;
use crate::process::Tool;
use crate::progress::{Phase, Progress};
use crate::user::require_subordinate_ids;
use crate::workdir::WorkDir;

/// What is unpacked, and what the hook does then.
pub(crate) struct Bootstrap<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) pool: &'a Pool,
    pub(crate) work: &'a WorkDir,
    pub(crate) instructions: Instructions,
    /// See [`Handover`].
    pub(crate) contents: &'a Path,
    pub(crate) out: &'a Path,
}

/// Makes the guest of `bootstrap.instructions`; nothing but the outputs is left.
pub(crate) fn bootstrap(mut bootstrap: Bootstrap, context: &BuildContext) -> Result<(), Error> {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        require_subordinate_ids(context.interrupted)?;
    }
    let Bootstrap {
        entry, pool, work, ..
    } = bootstrap;
    let repository = work.repository();
    repository::write(&repository, entry, pool)?;
    for package in &entry.kernel {
        let location = repository::place(&repository, package, pool)?;
        bootstrap
            .instructions
            .kernel_packages
            .push(repository.join(location));
    }
    let handover = Handover::new(
        &work.private(),
        &bootstrap.instructions,
        bootstrap.contents,
        bootstrap.out,
    )?;
    let hook = work.hook(&context.hook_exe, !root)?;
    let tool = mmdebstrap(entry, work, &hook, root);
    context.progress.start(Phase::Unpack, &entry.codename);
    let mut watcher = Watcher::new(context.progress, entry.packages.len());
    handover
        .pass_to(tool)
        .writes_to(&work.unpack())
        .run(context.interrupted, &mut |_, line| watcher.line(line))
        .map_err(|error| watcher.hook.cause(error))
}

fn mmdebstrap(entry: &Entry, work: &WorkDir, hook: &Path, root: bool) -> Tool {
    let names: Vec<&str> = entry
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let source = format!(
        "deb [trusted=yes] copy:{} {} main",
        work.repository().display(),
        entry.codename
    );
    Tool::new("mmdebstrap", "mmdebstrap")
        .clean_env()
        .env("HOME", work.unpack())
        .env("TMPDIR", work.unpack())
        .env("SOURCE_DATE_EPOCH", "0")
        .arg(if root {
            "--mode=root"
        } else {
            "--mode=unshare"
        })
        .args(["--verbose", "--variant=minbase", "--format=null"])
        .arg(format!("--architectures={}", entry.arch))
        .arg(format!("--include={}", names.join(",")))
        // Its cleanup calls apt with a configuration in the tree's /tmp, which we emptied: apt would
        // clean this host's lists instead (1.3.5).
        .arg("--skip=cleanup")
        // A cut-off build is begun anew: flushing each file only costs time.
        .arg("--dpkgopt=force-unsafe-io")
        .arg(format!("--customize-hook={}", hook.display()))
        .args([entry.codename.as_str(), "-", &source])
}

/// Turns what mmdebstrap says into progress.
struct Watcher<'a> {
    progress: &'a dyn Progress,
    hook: Listener<'a>,
    /// Every package is unpacked and set up.
    steps: u64,
    done: u64,
}

impl<'a> Watcher<'a> {
    fn new(progress: &'a dyn Progress, packages: usize) -> Self {
        Self {
            progress,
            steps: 2 * packages as u64,
            done: 0,
            hook: Listener::new(progress),
        }
    }

    fn line(&mut self, line: &str) {
        tracing::debug!(target: "mmdebstrap", "{line}");
        if line.starts_with("Unpacking ") || line.starts_with("Setting up ") {
            self.done = self.steps.min(self.done + 1);
            self.progress.advance(Phase::Unpack, self.done, self.steps);
        }
        self.hook.line(line);
    }
}
