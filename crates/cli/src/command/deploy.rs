//! `microvm deploy`: builds a VM here, and has another host run it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use image::store::{Carried, Store};

use crate::deployment::{Answer, Cargo, Manifest, Parts};
use crate::error::{Error, Kind, OrKind, Result, succeeded};
use crate::installation::Origin;
use crate::places::Places;
use crate::verbs::say;

/// Build a VM, copy it to another host over SSH, and run it there; if its guest does not come up,
/// the version before it runs again
#[derive(clap::Args)]
pub struct Args {
    /// Name of the VM
    name: String,

    /// The host, as ssh(1) takes it, such as `root@HOST`; it needs `microvm`
    #[arg(value_name = "HOST")]
    host: String,

    /// Where it is built from, or a runner package
    #[arg(short = 'f', long, value_name = "SOURCE", default_value = ".")]
    source: String,

    /// State directory of the other host [default: its own]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// Key for SSH
    #[arg(short = 'i', long, value_name = "FILE")]
    identity: Option<PathBuf>,

    /// Port of its SSH
    #[arg(short = 'p', long, value_name = "PORT")]
    port: Option<u16>,

    /// Option for ssh(1), as in ssh_config(5)
    #[arg(short = 'o', value_name = "OPTION")]
    options: Vec<String>,

    /// How long the guest may take to come up
    #[arg(long, value_name = "SECONDS", default_value_t = 150)]
    timeout: u64,

    /// Install it, and start or restart nothing
    #[arg(long)]
    no_start: bool,
}

impl Args {
    pub fn run(self) -> Result<ExitCode> {
        if self.host.is_empty() || self.host.starts_with('-') {
            let message = format!("`{}` is no host", self.host.escape_default());
            return Err(Error::new(Kind::Usage, message));
        }
        let name = host::fleet::name(&self.name)?;
        let places = Places::of_this_user();
        let origin = Origin::given(&self.source, &name)?;
        let ready = origin.build(&name, &places, false)?;
        let store = Store::open(&places.store)?;
        let cargo = if ready.path.starts_with("/nix/store") {
            self.copy_with_nix(&ready.path)?;
            Cargo::Nix(ready.path.clone())
        } else {
            Cargo::Store(Box::new(Parts::of(&ready.path, &store)?))
        };
        let manifest = Manifest {
            version: Manifest::VERSION,
            name,
            state_dir: self.state_dir.clone(),
            seconds: self.timeout,
            start: !self.no_start,
            cargo,
        };
        self.send(&manifest, &store)
    }

    fn send(&self, manifest: &Manifest, store: &Store) -> Result<ExitCode> {
        let mut ssh = self.ssh()?;
        let mut to = ssh
            .stdin
            .take()
            .ok_or("stdin was piped")
            .or_kind(Kind::Other)?;
        let from = ssh
            .stdout
            .take()
            .ok_or("stdout was piped")
            .or_kind(Kind::Other)?;
        let text = serde_json::to_string(manifest).or_kind(Kind::Other)?;
        // Who does not listen says why in its own words, below.
        let _ = writeln!(to, "{text}").and_then(|()| to.flush());
        let mut to = Some(to);
        for line in BufReader::new(from).lines() {
            let line = line.or_kind(Kind::Other)?;
            match serde_json::from_str(&line) {
                Ok(Answer::Missing(names)) => {
                    only_offered(&names, manifest.cargo.entries())?;
                    send_entries(store, &names, to.take())?;
                }
                Ok(Answer::Said(text)) => say(format!("{}: {text}", self.host)),
                Ok(Answer::Done) => {
                    let _ = ssh.wait();
                    return Ok(ExitCode::SUCCESS);
                }
                Ok(Answer::Failed { code, message }) => {
                    let _ = ssh.wait();
                    anstream::eprintln!("error: {}: {message}", self.host);
                    return Ok(ExitCode::from(code));
                }
                Err(_) => say(format!("{}: {line}", self.host)),
            }
        }
        let status = ssh.wait().or_kind(Kind::Other)?;
        let message = format!(
            "`{}` did not say how it went; ssh ended with {status}",
            self.host
        );
        Err(Error::new(Kind::Other, message)
            .hint(format!("`ssh {} microvm --version` must work", self.host)))
    }

    fn ssh(&self) -> Result<Child> {
        let mut command = Command::new(host::program::find("ssh").or_kind(Kind::Missing)?);
        if let Some(identity) = &self.identity {
            command.arg("-i").arg(identity);
        }
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        for option in &self.options {
            command.args(["-o", option]);
        }
        command.args(["-T", "--", &self.host, "microvm", "receive"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.spawn().or_kind(Kind::Missing)
    }

    fn copy_with_nix(&self, package: &Path) -> Result<()> {
        let program = host::program::find("nix").or_kind(Kind::Missing)?;
        let mut words: Vec<String> = Vec::new();
        words.extend(
            self.identity
                .iter()
                .map(|key| format!("-i {}", key.display())),
        );
        words.extend(self.port.iter().map(|port| format!("-p {port}")));
        words.extend(self.options.iter().map(|option| format!("-o {option}")));
        let status = Command::new(program)
            .args([
                "--extra-experimental-features",
                "nix-command",
                "copy",
                "--to",
            ])
            .arg(format!("ssh://{}", self.host))
            .arg(package)
            .env("NIX_SSHOPTS", words.join(" "))
            .status()
            .or_kind(Kind::Missing)?;
        succeeded("nix copy", status, Kind::Other)
    }
}

/// The other host gets what this VM is made of, and no other file of this one.
fn only_offered(names: &[String], offered: &[Carried]) -> Result<()> {
    let is_offered = |name: &String| offered.iter().any(|entry| entry.name == *name);
    match names.iter().find(|name| !is_offered(name)) {
        None => Ok(()),
        Some(name) => {
            let name = name.escape_default();
            let message = format!("The other host asks for `{name}`, which was not offered");
            Err(Error::new(Kind::Other, message))
        }
    }
}

/// As one archive, to its end; nothing where nothing is missing.
fn send_entries(store: &Store, names: &[String], to: Option<ChildStdin>) -> Result<()> {
    let Some(to) = to else {
        return Ok(());
    };
    if names.is_empty() {
        return Ok(());
    }
    say(format!("Copying {} store entries", names.len()));
    let status = Command::new(host::program::find("tar").or_kind(Kind::Missing)?)
        .args(["--create", "--file=-", "--numeric-owner", "--sparse"])
        .args(["--xattrs", "--xattrs-include=*", "--directory"])
        .arg(store.dir())
        .arg("--")
        .args(names)
        .stdout(to)
        .status()
        .or_kind(Kind::Missing)?;
    succeeded("tar", status, Kind::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_asks_for_more_than_it_was_offered_gets_nothing() {
        let offered = [Carried {
            name: "abc-kernel".into(),
            references: Vec::new(),
        }];
        let asks = |name: &str| only_offered(&["abc-kernel".into(), name.to_owned()], &offered);
        assert!(asks("abc-kernel").is_ok());
        for name in ["/etc/shadow", "../x", "abc-other", ""] {
            assert!(asks(name).is_err(), "{name}");
        }
    }
}
