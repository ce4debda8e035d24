//! Git repositories as sources: shallow checkouts in the cache, made by git(1).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::error::{Error, Kind, OrKind, Result};
use crate::reference::GitSource;

/// A file name that stands for a source.
pub fn name_of(git: &GitSource) -> String {
    let digest = Sha256::digest(git.to_string().as_bytes());
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A shallow checkout in the cache, made anew at each call unless `rev` names a commit.
pub fn check_out(git: &GitSource, cache: &Path) -> Result<PathBuf> {
    let checkouts = cache.join("git");
    std::fs::create_dir_all(&checkouts).map_err(|error| {
        Error::new(
            Kind::Storage,
            format!("Cannot create `{}`: {error}", checkouts.display()),
        )
    })?;
    let target = checkouts.join(name_of(git));
    if git.revision.is_some() && target.is_dir() {
        return Ok(target);
    }
    let temporary = tempfile::tempdir_in(&checkouts).or_kind(Kind::Storage)?;
    let wanted = git
        .revision
        .as_deref()
        .or(git.reference.as_deref())
        .unwrap_or("HEAD");
    let directory = temporary.path();
    run_git(git, Command::new("git").args(["init", "-q"]).arg(directory))?;
    run_git(
        git,
        Command::new("git").arg("-C").arg(directory).args([
            "fetch",
            "-q",
            "--depth=1",
            "--",
            &git.url,
            wanted,
        ]),
    )?;
    run_git(
        git,
        Command::new("git").arg("-C").arg(directory).args([
            "checkout",
            "-q",
            "--detach",
            "FETCH_HEAD",
        ]),
    )?;
    if target.exists() {
        std::fs::remove_dir_all(&target).or_kind(Kind::Storage)?;
    }
    std::fs::rename(temporary.keep(), &target).or_kind(Kind::Storage)?;
    Ok(target)
}

fn run_git(git: &GitSource, command: &mut Command) -> Result<()> {
    let output = command
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            Error::new(Kind::Missing, format!("Cannot run `git`: {error}"))
                .hint("install the package `git`")
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing");
    Err(Error::new(
        Kind::NotFound,
        format!("Cannot fetch `{git}`: {last}"),
    ))
}
