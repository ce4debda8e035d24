//! `microvm exec`: runs a command in a guest, without a login: by guest-init over vsock, else over
//! SSH.

use std::process::ExitCode;

use crate::error::Result;
use crate::fleet::StateDir;
use crate::ways::Guest;

/// Run a command in a VM of this host, with this terminal's input and output and its exit code
#[derive(clap::Args)]
pub struct Args {
    /// Name of the VM
    name: String,

    /// Give the command a terminal
    #[arg(short = 't', long)]
    terminal: bool,

    #[command(flatten)]
    state: StateDir,

    /// Program and arguments; no shell looks at them
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        let name = host::fleet::name(&self.name)?;
        let guest = Guest::find(&self.state.open()?, &name)?;
        let unreached = match guest.commands() {
            Some(Ok(target)) => {
                let code = host::guest_exec::run(&target, &self.command, self.terminal)?;
                return Ok(ExitCode::from(code));
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        // The shell that sshd starts takes the words apart again.
        let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        let by_ssh = guest.ssh("root", self.terminal, &words);
        by_ssh.map_err(|failure| match unreached {
            Some(error) => failure.hint(format!("guest-init does not answer over vsock: {error}")),
            None => failure,
        })
    }
}

/// A word as a POSIX shell reads it back, whatever is in it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let words = [
            "a b", "it's", "$(id)", "`id`", "\"x\"", "a\nb", "", "-rf", "\\", "*",
        ];
        let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("printf '%s\\0' {}", line.join(" ")))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let read: Vec<&str> = said.trim_end_matches('\0').split('\0').collect();
        let expected = words.join("\0");
        assert_eq!(read.join("\0"), expected);
    }
}
