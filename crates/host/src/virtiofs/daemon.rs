//! Starts, watches and stops the daemons of a VM's shares.

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use spec::vm::{Access, InodeFileHandles, ShareCache};

use super::serve::READY;
use super::socket::Listening;
use super::{Error, SERVE_COMMAND, Served, Server, Shares};
use crate::spawn;

/// Longest that a daemon may take until it accepts connections.
const START: Duration = Duration::from_secs(10);

/// Longest that daemons have to end before they are killed.
const STOP: Duration = Duration::from_millis(800);

/// The daemons of one VM; dropped, they end and their sockets go.
#[derive(Debug, Default)]
pub struct Daemons {
    running: Vec<Daemon>,
}

#[derive(Debug)]
struct Daemon {
    share: Served,
    listening: Listening,
    child: Child,
    /// Held open as long as the daemon built in shall live.
    lifeline: Option<UnixStream>,
}

impl Daemons {
    /// Starts one daemon a share and waits until all of them accept connections.
    pub fn start(shares: &Shares) -> Result<Self, Error> {
        let mut daemons = Self::default();
        for share in &shares.served {
            let share = with_absolute_source(share)?;
            let listening = Listening::bind(&share, shares.group.as_deref())?;
            let (child, lifeline) = start(&share, &listening, &shares.server)?;
            daemons.running.push(Daemon {
                share,
                listening,
                child,
                lifeline,
            });
        }
        for daemon in &mut daemons.running {
            daemon.wait_until_ready()?;
        }
        Ok(daemons)
    }

    /// A daemon that has ended, if one has.
    pub fn ended(&mut self) -> Option<(&str, ExitStatus)> {
        self.running.iter_mut().find_map(|daemon| {
            let status = daemon.child.try_wait().ok().flatten()?;
            Some((daemon.share.tag.as_str(), status))
        })
    }

    /// Starts those again whose hypervisor has left; one that failed is an error.
    pub fn revive(&mut self, server: &Server) -> Result<Vec<String>, Error> {
        let mut revived = Vec::new();
        for daemon in &mut self.running {
            let Some(status) = daemon.child.try_wait().ok().flatten() else {
                continue;
            };
            let tag = daemon.share.tag.clone();
            if !status.success() {
                return Err(Error::Died { tag, status });
            }
            (daemon.child, daemon.lifeline) = start(&daemon.share, &daemon.listening, server)?;
            daemon.wait_until_ready()?;
            revived.push(tag);
        }
        Ok(revived)
    }

    /// Ends all of them within a second.
    pub fn stop(&mut self) {
        for daemon in &mut self.running {
            daemon.ask_to_end();
        }
        let deadline = Instant::now() + STOP;
        for daemon in &mut self.running {
            daemon.end_by(deadline);
        }
        self.running.clear();
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Daemon {
    fn wait_until_ready(&mut self) -> Result<(), Error> {
        // An external daemon gives no sign; the socket takes the connection for it.
        let Some(lifeline) = &self.lifeline else {
            return Ok(());
        };
        let tag = self.share.tag.clone();
        let spawn = |source| Error::Spawn {
            tag: tag.clone(),
            source,
        };
        lifeline.set_read_timeout(Some(START)).map_err(spawn)?;
        let mut said = String::new();
        match BufReader::new(lifeline).read_line(&mut said) {
            Ok(0) => {
                let status = self.child.wait().map_err(spawn)?;
                Err(Error::Died { tag, status })
            }
            Ok(_) if said.trim() == READY => Ok(()),
            Ok(_) => Err(Error::Failed {
                tag,
                said: said.trim().to_owned(),
            }),
            Err(_) => Err(Error::Silent {
                tag,
                seconds: START.as_secs(),
            }),
        }
    }

    fn ask_to_end(&mut self) {
        if self.lifeline.take().is_none() {
            let pid = rustix::process::Pid::from_child(&self.child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    fn end_by(&mut self, deadline: Instant) {
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sandbox changes directories.
fn with_absolute_source(share: &Served) -> Result<Served, Error> {
    let (tag, source_dir) = (share.tag.clone(), share.source.clone());
    match share.source.canonicalize() {
        Err(_) => Err(Error::NoSource { tag, source_dir }),
        Ok(path) if !path.is_dir() => Err(Error::NotADirectory { tag, source_dir }),
        Ok(source) => Ok(Served {
            source,
            ..share.clone()
        }),
    }
}

fn start(
    share: &Served,
    listening: &Listening,
    server: &Server,
) -> Result<(Child, Option<UnixStream>), Error> {
    let failed = |source| Error::Spawn {
        tag: share.tag.clone(),
        source,
    };
    let listener: OwnedFd = listening.listener.try_clone().map_err(failed)?.into();
    let (mut command, lifeline) = match server {
        Server::BuiltIn { program } => {
            let (ours, theirs) = UnixStream::pair().map_err(failed)?;
            let mut command = built_in(program, share);
            command.stdout(OwnedFd::from(theirs));
            (command, Some(ours))
        }
        Server::External { program } => {
            let mut command = external(program, share);
            command.stdout(Stdio::null());
            spawn::die_with_parent(&mut command);
            (command, None)
        }
    };
    spawn::with_all_signals(&mut command);
    // A Ctrl-C is for the guest and for us: daemons outlive the hypervisor.
    let child = command.stdin(listener).process_group(0).spawn();
    Ok((child.map_err(failed)?, lifeline))
}

fn built_in(program: &Path, share: &Served) -> Command {
    let options = serde_json::to_string(share).expect("a share has only strings and numbers");
    let mut command = Command::new(program);
    command
        .arg0(format!("virtiofsd@{}", share.tag))
        .args([SERVE_COMMAND, &options]);
    command
}

/// In the words of virtiofsd 1.x; the socket is its stdin.
fn external(program: &Path, share: &Served) -> Command {
    let mut command = Command::new(program);
    command.arg("--fd=0").arg("--shared-dir").arg(&share.source);
    command.arg(format!("--thread-pool-size={}", share.threads));
    command.arg(format!("--cache={}", cache_word(share.cache)));
    if share.posix_acl {
        command.arg("--posix-acl");
    }
    if share.access == Access::ReadOnly {
        command.arg("--readonly");
    }
    if let Some(handles) = share.inode_file_handles {
        command.arg(format!("--inode-file-handles={}", handles_word(handles)));
    }
    command.args(&share.extra_args);
    command
}

fn cache_word(cache: ShareCache) -> &'static str {
    match cache {
        ShareCache::Auto => "auto",
        ShareCache::Always => "always",
        ShareCache::Metadata => "metadata",
        ShareCache::Never => "never",
    }
}

fn handles_word(handles: InodeFileHandles) -> &'static str {
    match handles {
        InodeFileHandles::Never => "never",
        InodeFileHandles::Prefer => "prefer",
        InodeFileHandles::Mandatory => "mandatory",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_daemon_is_told_all() {
        let share = Served {
            tag: "ro".into(),
            source: "/srv/a b".into(),
            socket: "x.sock".into(),
            only: None,
            cache: ShareCache::Metadata,
            posix_acl: true,
            access: Access::ReadOnly,
            inode_file_handles: Some(InodeFileHandles::Prefer),
            threads: 3,
            extra_args: vec!["--log-level=debug".into()],
        };
        let command = external(Path::new("/opt/virtiofsd"), &share);
        let args: Vec<_> = command
            .get_args()
            .map(|arg| arg.to_str().unwrap())
            .collect();
        insta::assert_debug_snapshot!(args);
    }
}
