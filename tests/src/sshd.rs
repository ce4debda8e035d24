//! A real sshd of this host that stands for another host: whoever logs in is given `microvm
//! receive`, with a store of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::host::{free_tcp_port, microvm, output};
use crate::{Outcome, check};

/// Ended with the test.
pub struct Sshd {
    child: Child,
    directory: PathBuf,
    port: u16,
}

impl Sshd {
    /// Keys and configuration are in this directory; the other host's store is `there/store`.
    pub fn start(directory: &Path) -> Outcome<Self> {
        for name in ["host_key", "key"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            output(keygen.arg(directory.join(name)))?;
        }
        let port = free_tcp_port()?;
        let dir = directory.display();
        let receive = directory.join("receive");
        let program = std::path::absolute(microvm())?;
        let script = format!(
            "#!/bin/sh\nexport MICROVM_STORE={dir}/there/store MICROVM_CACHE={dir}/there/cache\n\
             exec {} receive\n",
            program.display()
        );
        std::fs::write(&receive, script)?;
        std::fs::set_permissions(&receive, std::fs::Permissions::from_mode(0o755))?;
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {dir}/host_key\nPidFile none\n\
             AuthorizedKeysFile {dir}/key.pub\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             ForceCommand {dir}/receive\n"
        );
        std::fs::write(directory.join("sshd_config"), config)?;
        // Where the package's own service would make it.
        std::fs::create_dir_all("/run/sshd")?;
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(directory.join("sshd_config"))
            .stderr(Stdio::null())
            .spawn()?;
        let sshd = Self {
            child,
            directory: directory.to_owned(),
            port,
        };
        let start = Instant::now();
        while !crate::guest::answers_ssh(port) {
            check!(start.elapsed() < Duration::from_secs(20), "no sshd");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(sshd)
    }

    /// The state directory of the other host.
    pub fn state(&self) -> PathBuf {
        self.directory.join("there/vms")
    }

    /// Adds to `microvm deploy NAME` how this host is reached.
    pub fn reached_by<'a>(&self, deploy: &'a mut Command) -> &'a mut Command {
        deploy
            .args(["root@127.0.0.1", "--state-dir"])
            .arg(self.state())
            .args(["-p", &self.port.to_string(), "-i"])
            .arg(self.directory.join("key"))
            .args(["-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"])
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}",
                self.directory.join("known").display()
            ))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
