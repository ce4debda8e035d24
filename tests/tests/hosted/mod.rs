//! A host of its own for a test: a state directory, a store and a configuration, and packages to
//! install.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod deploy;
pub mod script;

/// Everything is below one temporary directory, which ends with the test, and its VMs with it.
pub struct Host {
    directory: TempDir,
    /// Names of packages that were there once: they vary, and may be named when they are gone.
    seen: RefCell<BTreeSet<String>>,
}

/// A definition of `web` whose guest is built of files that are there.
pub fn definition(options: &str) -> String {
    format!("[vm.web]\n{}\n", inline(options))
}

/// Options that make a VM of files which are there.
pub fn inline(options: &str) -> String {
    format!("kernel = \"/etc/hostname\"\ninitrdPath = \"/etc/hostname\"\n{options}")
}

impl Host {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::create_dir(directory.path().join("vms")).expect("it can be made");
        Self {
            directory,
            seen: RefCell::default(),
        }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The state directory, as a text.
    pub fn dir(&self) -> String {
        self.path().join("vms").display().to_string()
    }

    /// A path in the state directory.
    pub fn state(&self, inner: &str) -> PathBuf {
        self.path().join("vms").join(inner)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("it can be made");
        std::fs::write(path, text).expect("it can be written");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).expect("it can be read")
    }

    /// Writes `microvm.toml`.
    pub fn define(&self, options: &str) {
        self.write("microvm.toml", &definition(options));
    }

    /// Exit code, stdout and stderr as one text.
    pub fn run(&self, line: &str) -> String {
        self.run_words(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn run_words(&self, words: &[&str]) -> String {
        self.run_in(words, &[])
    }

    /// With more in its environment.
    pub fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> String {
        self.run_in(&line.split_whitespace().collect::<Vec<_>>(), variables)
    }

    fn run_in(&self, words: &[&str], variables: &[(&str, &str)]) -> String {
        let path = self.path();
        let output = Command::new(harness::host::microvm())
            .args(words)
            .current_dir(path)
            .env("MICROVM_STATE_DIR", self.dir())
            .env("MICROVM_STORE", path.join("store/entries"))
            .env("MICROVM_CACHE", path.join("cache"))
            .env("MICROVM_CONFIG", path.join("config"))
            .env("TEST_ORDER", path.join("order"))
            .env("NO_COLOR", "1")
            .envs(variables.iter().copied())
            .env("PATH", path.join("no-programs"))
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the program can be run");
        let code = output
            .status
            .code()
            .map_or("signal".to_owned(), |code| code.to_string());
        let text = format!(
            "$ microvm {}\n{}{}exit {code}\n",
            words.join(" ").escape_debug(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        self.without_what_varies(text)
    }

    /// Several commands, one after the other.
    pub fn script(&self, lines: &[&str]) -> String {
        lines
            .iter()
            .map(|line| self.run(line))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn without_what_varies(&self, text: String) -> String {
        const HASH: usize = 32;
        let own = self.path().canonicalize().expect("it is there");
        let text = text.replace(&own.display().to_string(), "[DIR]");
        // Whether the tests are root's is not what they are about.
        let lines = text
            .lines()
            .filter(|line| !line.contains("microvm host install` makes"));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        self.seen.borrow_mut().extend(self.packages());
        self.seen.borrow().iter().fold(text, |text, name| {
            let hash = &name[..HASH.min(name.len())];
            text.replace(hash, "[HASH]").replace(&hash[..8], "[HASH] ")
        })
    }

    /// Names of what is in the store.
    pub fn packages(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join("store/entries"));
        let names = entries.into_iter().flatten().flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// Every path below the directory but those of locks and built things, and what is there.
    pub fn tree(&self) -> BTreeMap<PathBuf, String> {
        let mut tree = BTreeMap::new();
        let mut open = vec![self.path().to_owned()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).expect("it can be read").flatten() {
                let path = entry.path();
                let name = path.strip_prefix(self.path()).expect("it lies below");
                let passed = ["store", "cache", "vms/.microvm/locks"].map(Path::new);
                if passed.contains(&name) {
                    continue;
                }
                let kind = entry.file_type().expect("it can be examined");
                let content = if kind.is_symlink() {
                    format!(
                        "-> {}",
                        std::fs::read_link(&path).expect("it is a link").display()
                    )
                } else if kind.is_dir() {
                    open.push(path.clone());
                    continue;
                } else {
                    std::fs::read_to_string(&path).unwrap_or_default()
                };
                tree.insert(name.to_owned(), content);
            }
        }
        tree
    }

    /// The same, with the names of packages in place of their paths.
    pub fn tree_of_names(&self) -> BTreeMap<PathBuf, String> {
        const HASH: usize = 32;
        let tree = self.tree().into_iter();
        tree.map(|(path, content)| match content.rsplit_once("/entries/") {
            Some((_, rest)) => (path, rest[HASH..].to_owned()),
            None => (path, content),
        })
        .collect()
    }

    /// A package of another program with the same layout.
    pub fn foreign(&self, name: &str, run: &str) {
        let bin = self.path().join("foreign").join(name).join("bin");
        std::fs::create_dir_all(&bin).expect("it can be made");
        for (command, text) in script::around(run) {
            let path = bin.join(command);
            std::fs::write(&path, text).expect("it can be written");
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(path, executable).expect("it can be made executable");
        }
    }

    /// One more VM like another, as an installation leaves it.
    pub fn copy_vm(&self, from: &str, to: &str) {
        let (from, to) = (self.state(from), self.state(to));
        std::fs::create_dir(&to).expect("it can be made");
        std::fs::copy(from.join("flake"), to.join("flake")).expect("it can be copied");
        let target = std::fs::read_link(from.join("current")).expect("it is a link");
        symlink(target, to.join("current")).expect("it can be made");
    }

    /// The process that holds a lock of a VM.
    pub fn find_process(&self, lock: &str) -> Option<i32> {
        let path = self.state(".microvm/run").join(format!("{lock}.lock"));
        let text = std::fs::read_to_string(path).ok()?;
        text.lines().next()?.parse().ok()
    }

    pub fn process(&self, lock: &str) -> i32 {
        self.find_process(lock).expect("it runs")
    }

    /// Kills a process without warning, and waits until it is gone.
    pub fn kill(&self, pid: i32) {
        let killed = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGKILL,
        );
        killed.expect("it can be killed");
        self.eventually("it is gone", || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z "))
        });
    }

    pub fn eventually(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < Duration::from_secs(30), "{what}: not so");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        harness::nix::forget_roots(self.directory.path());
        // A test that failed leaves VMs.
        let locks = std::fs::read_dir(self.state(".microvm/run"));
        for lock in locks.into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(lock.path()).unwrap_or_default();
            let pid = text.lines().next().and_then(|line| line.parse().ok());
            let Some(pid) = pid.filter(|pid| is_ours(*pid, self.path())) else {
                continue;
            };
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
    }
}

/// A number in a lock may have come to mean another process.
fn is_ours(pid: i32, directory: &Path) -> bool {
    std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(directory))
}
