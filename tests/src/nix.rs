//! Nix for a test: the flake of this repository, nixpkgs or what stands for it, and a configuration
//! that reaches no network.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Fleet, host};

/// Where a real nixpkgs is, to be tested against in place of the stand-in.
const REAL: &str = "MICROVM_NIXPKGS";

/// Everything below one temporary directory; what is built stays in Nix's store as garbage.
pub struct Nix {
    directory: PathBuf,
    /// Where the directory is to end with this.
    temporary: Option<TempDir>,
    nixpkgs: PathBuf,
    config: String,
}

impl Nix {
    /// `None`, and why on stdout, where Nix cannot be used here.
    pub fn new() -> Option<Self> {
        if let Some(why) = unusable() {
            println!("skipped: {why}");
            return None;
        }
        let temporary = tempfile::tempdir().expect("a temporary directory can be made");
        let mut own = Self::at(temporary.path());
        own.temporary = Some(temporary);
        Some(own)
    }

    /// In a directory that stays.
    pub fn at(directory: &Path) -> Self {
        let root = repository();
        let flake = directory.join("microvm");
        for part in [
            "flake.nix",
            "nix",
            "docs",
            "Cargo.toml",
            "Cargo.lock",
            "crates/spec/tests/fixtures",
        ] {
            copy(&root.join(part), &flake.join(part));
        }
        let (nixpkgs, more) = match std::env::var_os(REAL) {
            Some(real) => (PathBuf::from(real), String::new()),
            None => stand_in(directory),
        };
        let registry = directory.join("registry.json");
        let text = format!(
            r#"{{"version":2,"flakes":[{{"from":{{"type":"indirect","id":"nixpkgs"}},"to":{{"type":"path","path":"{}"}}}}]}}"#,
            nixpkgs.display()
        );
        std::fs::write(&registry, text).expect("it can be written");
        let config = format!(
            "experimental-features = nix-command flakes\nbuild-users-group =\nsubstituters =\n\
             flake-registry = {}\nsandbox = true\n{more}",
            registry.display()
        );
        let own = Self {
            directory: directory.to_owned(),
            temporary: None,
            nixpkgs,
            config,
        };
        own.lock(&flake);
        own
    }

    /// Writes the lock file that a release has, with nixpkgs where it is here.
    fn lock(&self, flake: &Path) {
        let nixpkgs = format!("path:{}", self.nixpkgs.display());
        let found = said(self.nix(&["flake", "metadata", "--json", &nixpkgs]));
        let found: serde_json::Value = serde_json::from_str(&found).expect("it is JSON");
        let original = serde_json::json!({
            "type": "github", "owner": "NixOS", "repo": "nixpkgs", "ref": "nixos-unstable",
        });
        let lock = serde_json::json!({
            "version": 7,
            "root": "root",
            "nodes": {
                "root": { "inputs": { "nixpkgs": "nixpkgs" } },
                "nixpkgs": { "locked": found["locked"], "original": original },
            },
        });
        std::fs::write(flake.join("flake.lock"), lock.to_string()).expect("it can be written");
    }

    pub fn path(&self) -> &Path {
        &self.directory
    }

    pub fn nixpkgs_path(&self) -> &Path {
        &self.nixpkgs
    }

    /// The flake of this repository, as `path:` has it.
    pub fn flake(&self) -> String {
        format!("path:{}", self.path().join("microvm").display())
    }

    /// Writes a file below the directory.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("it can be made");
        std::fs::write(&path, text).expect("it can be written");
        path
    }

    /// A copy of one of the consumers' flakes, with nothing changed but the input.
    pub fn consumer(&self, name: &str) -> PathBuf {
        let target = self.path().join(name);
        copy(
            &repository().join("tests/nix/consumers").join(name),
            &target,
        );
        target
    }

    /// `nix`, with its inputs where they are here.
    pub fn nix(&self, words: &[&str]) -> Command {
        let mut command = self.command("nix");
        command.args(words);
        command
    }

    /// What overrides the inputs of a consumer's flake.
    pub fn inputs(&self) -> Vec<String> {
        let nixpkgs = format!("path:{}", self.nixpkgs.display());
        [
            "--override-input",
            "microvm",
            &self.flake(),
            "--override-input",
            "nixpkgs",
            &nixpkgs,
            "--no-write-lock-file",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// What overrides the one input of our own.
    pub fn nixpkgs(&self) -> Vec<String> {
        let nixpkgs = format!("path:{}", self.nixpkgs.display());
        [
            "--override-input",
            "nixpkgs",
            &nixpkgs,
            "--no-write-lock-file",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// Has the name `microvm` stand for our flake, as a user does.
    pub fn register(&self) {
        said(self.nix(&["registry", "add", "microvm", &self.flake()]));
    }

    /// The program under test, with places of its own.
    pub fn microvm(&self, line: &str) -> Command {
        let mut command = self.command(host::microvm());
        command
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env("MICROVM_STATE_DIR", self.path().join("vms"))
            .env("MICROVM_STORE", self.path().join("store/entries"))
            .env("MICROVM_CACHE", self.path().join("cache"))
            .env("MICROVM_CONFIG", self.path().join("config"))
            .env("NO_COLOR", "1");
        command
    }

    /// Another of Nix's programs.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let home = self.path().join("home");
        std::fs::create_dir_all(&home).expect("it can be made");
        let mut command = Command::new(program);
        command
            .stdin(Stdio::null())
            .env("HOME", &home)
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("NIX_CONFIG", &self.config)
            .env("NIX_USER_CONF_FILES", "");
        command
    }
}

impl Drop for Nix {
    /// Roots that installed VMs have in Nix's own directory.
    fn drop(&mut self) {
        if self.temporary.is_none() {
            return;
        }
        forget_roots(self.path());
    }
}

/// Removes the roots that VMs in a directory have in Nix's own, where there is a Nix.
pub fn forget_roots(directory: &Path) {
    let own = directory.display().to_string().replace('/', "%") + "%";
    let roots = std::fs::read_dir("/nix/var/nix/gcroots/microvm");
    for root in roots.into_iter().flatten().flatten() {
        if root.file_name().to_string_lossy().starts_with(&own) {
            let _ = std::fs::remove_file(root.path());
        }
    }
}

fn unusable() -> Option<String> {
    if let Some(why) = host::lacks("nix") {
        return Some(why);
    }
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    (!is_root).then(|| "Nix without a daemon needs root".to_owned())
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("it is there")
}

/// The stand-in with the parts that it takes from this machine, and what a sandbox must see of it.
fn stand_in(directory: &Path) -> (PathBuf, String) {
    let target = directory.join("nixpkgs");
    copy(&repository().join("tests/nix/nixpkgs"), &target);
    let (kernel, release) = kernel();
    let program = host::microvm();
    let parts = serde_json::json!({
        "kernel": { "path": kernel, "release": release, "digest": kernel.file_name().map(|name| name.to_string_lossy()) },
        "microvm": { "path": program, "digest": digest(&program) },
    });
    std::fs::write(target.join("parts.json"), parts.to_string()).expect("it can be written");
    let seen = ["/bin", "/usr", "/lib", "/lib64", "/sbin", "/etc"]
        .into_iter()
        .filter(|path| Path::new(path).exists());
    let seen: Vec<&str> = seen.collect();
    let paths = format!(
        "sandbox-paths = {} {} {}\n",
        seen.join(" "),
        kernel.display(),
        program.parent().expect("it is in a directory").display()
    );
    (target, paths)
}

/// Debian's kernel with its modules, as the store of the real boots has it.
fn kernel() -> (PathBuf, String) {
    let definition = "[vm.kernel]\nkernel = \"generic\"\n[vm.kernel.guest]\ndebian = {}\n";
    let fleet = Fleet::new(definition).expect("a definition can be written");
    let package = fleet
        .build("kernel")
        .unwrap_or_else(|failure| panic!("no kernel: {failure}"));
    let image = package
        .join("share/microvm/system/kernel")
        .canonicalize()
        .expect("a system has a kernel");
    let directory = image.parent().expect("it is in a directory").to_owned();
    let mut releases = std::fs::read_dir(directory.join("lib/modules")).expect("it has modules");
    let release = releases
        .next()
        .expect("of one release")
        .expect("that can be read")
        .file_name();
    (directory, release.to_string_lossy().into_owned())
}

/// Tells builds of the program apart.
fn digest(program: &Path) -> String {
    let text = said({
        let mut command = Command::new("sha256sum");
        command.arg(program);
        command
    });
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().expect("it has a parent")).expect("it can be made");
    let status = Command::new("cp").arg("-r").args([from, to]).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "cannot copy {}",
        from.display()
    );
}

/// stdout of a program that must succeed.
pub fn said(mut command: Command) -> String {
    let output = run(&mut command);
    assert!(output.status.success(), "{command:?}\n{}", words(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// stdout and stderr of a program that must fail.
pub fn refused(mut command: Command) -> String {
    let output = run(&mut command);
    assert!(
        !output.status.success(),
        "{command:?} succeeded\n{}",
        words(&output)
    );
    words(&output)
}

pub fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

pub fn words(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A program that runs; ended when it is dropped.
pub struct Running {
    child: Child,
    heard: Arc<Mutex<String>>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        use std::os::unix::process::CommandExt;
        let mut child = command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let heard = Arc::new(Mutex::new(String::new()));
        listen(child.stdout.take(), &heard);
        listen(child.stderr.take(), &heard);
        Self { child, heard }
    }

    /// Waits until it has ended by itself.
    pub fn ends(&mut self, within: Duration) {
        let start = Instant::now();
        while self
            .child
            .try_wait()
            .expect("it can be waited for")
            .is_none()
        {
            let heard = self.heard.lock().expect("no thread panics").clone();
            assert!(start.elapsed() < within, "it did not end:\n{heard}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until it has said a text.
    pub fn says(&mut self, text: &str, within: Duration) {
        let start = Instant::now();
        loop {
            let heard = self.heard.lock().expect("no thread panics").clone();
            if heard.contains(text) {
                return;
            }
            let ended = self.child.try_wait().expect("it can be waited for");
            assert!(
                ended.is_none() && start.elapsed() < within,
                "it did not say `{text}` ({ended:?}):\n{heard}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).expect("a process number");
        let _ = ::nix::sys::signal::killpg(
            ::nix::unistd::Pid::from_raw(group),
            ::nix::sys::signal::Signal::SIGKILL,
        );
        let _ = self.child.wait();
    }
}

fn listen(stream: Option<impl Read + Send + 'static>, heard: &Arc<Mutex<String>>) {
    let heard = Arc::clone(heard);
    let mut stream = stream.expect("it is piped");
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            heard.lock().expect("no thread panics").push_str(&text);
        }
    });
}
