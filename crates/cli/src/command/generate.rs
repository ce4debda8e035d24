//! `microvm generate`: the manual pages and the shells' completions, for packages of the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use crate::error::{Error, Kind, Result};

const NAME: &str = "microvm";

/// Where each shell looks, below a prefix.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "share/bash-completion/completions/microvm"),
    (Shell::Zsh, "share/zsh/site-functions/_microvm"),
    (Shell::Fish, "share/fish/vendor_completions.d/microvm.fish"),
];

/// Write manual pages and completions below a prefix, such as /usr/local
#[derive(clap::Args)]
pub struct Args {
    /// Directory that gets `share/man`, `share/bash-completion` …
    prefix: PathBuf,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let pages = self.prefix.join("share/man/man1");
        fs::create_dir_all(&pages).map_err(|error| cannot_write(&pages, &error))?;
        // One for each command, and for each of those below it.
        clap_mangen::generate_to(Cli::command(), &pages)
            .map_err(|error| cannot_write(&pages, &error))?;
        for (shell, path) in COMPLETIONS {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), NAME, &mut text);
            write(&self.prefix.join(path), &text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, text))
        .map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    let message = format!("Cannot write `{}`: {error}", path.display());
    Error::new(Kind::Storage, message)
}
