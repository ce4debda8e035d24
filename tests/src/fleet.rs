//! One definition file with the VMs of a suite, built once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::host::{free_tcp_port, free_udp_port, microvm, output};
use crate::{Guest, Outcome};

/// A source directory with free ports put in, and the store that its builds share.
pub struct Fleet {
    directory: TempDir,
    store: PathBuf,
    cache: PathBuf,
    ports: BTreeMap<String, u16>,
}

impl Fleet {
    /// `@tcp:NAME@` and `@udp:NAME@` in the text become free ports of the host.
    pub fn new(text: &str) -> Outcome<Self> {
        let mut ports = BTreeMap::new();
        let mut filled = String::new();
        for (index, part) in text.split('@').enumerate() {
            match (index % 2, part.split_once(':')) {
                (1, Some(("tcp", _))) => filled += &port(&mut ports, part, free_tcp_port)?,
                (1, Some(("udp", _))) => filled += &port(&mut ports, part, free_udp_port)?,
                _ => filled += part,
            }
        }
        let directory = tempfile::Builder::new().prefix("microvm-test-").tempdir()?;
        std::fs::write(directory.path().join("microvm.toml"), filled)?;
        let kept = kept_directory();
        // What an earlier run resolved keeps this one from resolving it again.
        let lock = kept.join("microvm.lock");
        if lock.is_file() {
            std::fs::copy(&lock, directory.path().join("microvm.lock"))?;
        }
        Ok(Self {
            directory,
            store: kept.join("store"),
            cache: kept.join("cache"),
            ports,
        })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn store(&self) -> &Path {
        &self.store
    }

    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// The port that `@KEY@` became.
    pub fn port(&self, key: &str) -> u16 {
        self.ports[key]
    }

    /// The program under test, with this fleet's store.
    pub fn microvm(&self) -> Command {
        let mut command = Command::new(microvm());
        command
            .current_dir(self.path())
            .env("MICROVM_STORE", &self.store)
            .env("MICROVM_CACHE", &self.cache)
            .env("MICROVM_CONFIG", self.path().join("config"));
        command
    }

    /// Builds one VM and gives its runner package.
    pub fn build(&self, name: &str) -> Outcome<PathBuf> {
        let link = self.path().join(format!("result-{name}"));
        output(
            self.microvm()
                .args(["build", &format!(".#{name}"), "-o"])
                .arg(&link),
        )?;
        let lock = self.path().join("microvm.lock");
        if lock.is_file() {
            std::fs::copy(lock, kept_directory().join("microvm.lock"))?;
        }
        Ok(link)
    }

    /// A new state directory for a VM.
    pub fn state(&self, name: &str) -> Outcome<PathBuf> {
        let state = self.path().join("state").join(name);
        std::fs::create_dir_all(&state)?;
        Ok(state)
    }

    /// Boots a VM in its state directory.
    pub fn run(&self, name: &str) -> Outcome<Guest> {
        let state = self.state(name)?;
        let mut command = self.microvm();
        command
            .args(["run", &format!(".#{name}"), "--state-dir"])
            .arg(&state)
            // Emulated, beside other guests: a minute may not be enough for a shutdown.
            .env("MICROVM_SHUTDOWN_TIMEOUT", "200");
        let ssh = self.ports.get(&format!("tcp:{name}")).copied();
        Guest::start(name, command, state, ssh)
    }
}

fn port(
    ports: &mut BTreeMap<String, u16>,
    key: &str,
    free: fn() -> Outcome<u16>,
) -> Outcome<String> {
    let port = match ports.get(key) {
        Some(port) => *port,
        None => free()?,
    };
    ports.insert(key.to_owned(), port);
    Ok(port.to_string())
}

/// Kept between runs, so that only the first one downloads and unpacks.
pub fn kept_directory() -> PathBuf {
    let kept = match std::env::var_os("MICROVM_TEST_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => std::env::temp_dir().join("microvm-tests"),
    };
    std::fs::create_dir_all(&kept).expect("the directory for temporary files can be written");
    kept
}
