//! What one hypervisor program can do, asked of the program itself and cached.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use backend::plan::Version;
use backend::version::parse_qemu;
use serde::{Deserialize, Serialize};
use spec::vm::Hypervisor;

use super::Error;
use super::cache::{self, Stamp};

/// What a program said of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    pub version: Version,
    /// Built with what `-sandbox on` needs.
    pub sandbox: bool,
    /// Built with io_uring.
    pub io_uring: bool,
    /// Long options that its help names.
    #[serde(default)]
    pub options: BTreeSet<String>,
}

impl Features {
    /// Of the hypervisor that is built in.
    pub fn built_in() -> Self {
        Self {
            version: crate::alioth::VERSION,
            sandbox: false,
            io_uring: true,
            options: BTreeSet::new(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Entry {
    stamp: Stamp,
    features: Features,
}

/// Asks the program, or remembers what the same file said before.
pub fn of(program: &Path, hypervisor: Hypervisor, cache: &Path) -> Result<Features, Error> {
    let file = cache.join("programs.json");
    let stamp = Stamp::of(program);
    let mut known: BTreeMap<String, Entry> = cache::load(&file).unwrap_or_default();
    let key = program.to_string_lossy().into_owned();
    if let (Some(entry), Some(stamp)) = (known.get(&key), &stamp)
        && entry.stamp == *stamp
    {
        return Ok(entry.features.clone());
    }
    let features = ask(program, hypervisor)?;
    if let Some(stamp) = stamp {
        let features = features.clone();
        known.insert(key, Entry { stamp, features });
        cache::store(&file, &known);
    }
    Ok(features)
}

fn ask(program: &Path, hypervisor: Hypervisor) -> Result<Features, Error> {
    if hypervisor != Hypervisor::Qemu {
        return Ok(Features {
            version: version(program, asking_version(hypervisor), first_version)?,
            sandbox: false,
            // Every build of these has it; firecracker in `Async`.
            io_uring: matches!(
                hypervisor,
                Hypervisor::Alioth | Hypervisor::Firecracker | Hypervisor::Stratovirt
            ),
            options: options(program, hypervisor),
        });
    }
    // A build without seccomp ends with an error at `-sandbox`, before it looks at `--version`.
    let sandboxed = version(program, &["-sandbox", "on", "--version"], qemu_version);
    let sandbox = sandboxed.is_ok();
    Ok(Features {
        version: sandboxed.or_else(|_| version(program, &["--version"], qemu_version))?,
        sandbox,
        io_uring: schema_has_io_uring(program).unwrap_or(false),
        options: BTreeSet::new(),
    })
}

fn asking_version(hypervisor: Hypervisor) -> &'static [&'static str] {
    match hypervisor {
        Hypervisor::Kvmtool | Hypervisor::Crosvm => &["version"],
        Hypervisor::Stratovirt => &["-version"],
        _ => &["--version"],
    }
}

/// Options and, of crosvm, which builds lack some of, commands.
fn options(program: &Path, hypervisor: Hypervisor) -> BTreeSet<String> {
    let mut options = long_options(&help(program, hypervisor));
    if hypervisor == Hypervisor::Crosvm {
        options.extend(commands(&printed(program, &["--help"])));
    }
    options
}

/// What the program prints of its options; empty where it prints nothing.
fn help(program: &Path, hypervisor: Hypervisor) -> String {
    let arguments: &[&str] = match hypervisor {
        Hypervisor::Kvmtool | Hypervisor::Crosvm => &["run", "--help"],
        Hypervisor::Alioth => &["boot", "--help"],
        Hypervisor::Stratovirt => &["-h"],
        _ => &["--help"],
    };
    printed(program, arguments)
}

fn printed(program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).output();
    // Some print it on stderr, and end with an error.
    output.map_or_else(
        |_| String::new(),
        |output| {
            [output.stdout, output.stderr]
                .map(|said| String::from_utf8_lossy(&said).into_owned())
                .concat()
        },
    )
}

/// The first words of the lines below `Commands:`, of which those that go on have a deeper indent.
fn commands(help: &str) -> Vec<String> {
    let (_, list) = help.split_once("\nCommands:\n").unwrap_or_default();
    list.lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
        .collect()
}

/// Words that begin with `--`, without what follows their name.
fn long_options(help: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    help.split(|c: char| !is_part(c))
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .map(str::to_owned)
        .collect()
}

fn qemu_version(text: &str) -> Option<Version> {
    parse_qemu(text).ok()
}

fn version(
    program: &Path,
    args: &[&str],
    parse: fn(&str) -> Option<Version>,
) -> Result<Version, Error> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Run {
            program: program.to_owned(),
            source,
        })?;
    let said = String::from_utf8_lossy(&output.stdout);
    let found = output.status.success().then(|| parse(&said)).flatten();
    found.ok_or_else(|| Error::NoVersion {
        program: program.to_owned(),
        said: first_line(&said, &String::from_utf8_lossy(&output.stderr)),
    })
}

fn first_line(stdout: &str, stderr: &str) -> String {
    let mut lines = stdout.lines().chain(stderr.lines());
    lines.next().unwrap_or("nothing").to_owned()
}

/// The first `N.N` or `N.N.N` of a text.
fn first_version(text: &str) -> Option<Version> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .find_map(|word| {
            let mut numbers = word.trim_matches('.').split('.').map(str::parse);
            let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
            let micro = numbers.next().and_then(Result::ok).unwrap_or(0);
            Some(Version(major, minor, micro))
        })
}

/// Longest that QEMU may take to describe itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks for io_uring in the QMP schema: the value exists only in builds that have it.
fn schema_has_io_uring(program: &Path) -> std::io::Result<bool> {
    let mut child = Command::new(program)
        .args([
            "-M",
            "none",
            "-nodefaults",
            "-display",
            "none",
            "-S",
            "-qmp",
            "stdio",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = rustix::process::Pid::from_child(&child);
    let guard = Watchdog::over(pid, PATIENCE);
    let mut stdin = child.stdin.take().expect("stdin was piped");
    let asked = stdin.write_all(
        b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-qmp-schema\"}{\"execute\":\"quit\"}\n",
    );
    let stdout = BufReader::new(child.stdout.take().expect("stdout was piped"));
    // To the end, for QEMU blocks where nobody reads.
    let mut found = false;
    for line in stdout.lines().map_while(Result::ok) {
        found |= line.contains("\"io_uring\"");
    }
    guard.dismiss();
    child.wait()?;
    asked.map(|()| found)
}

/// Kills a process that takes too long.
struct Watchdog(std::sync::mpsc::Sender<()>);

impl Watchdog {
    fn over(pid: rustix::process::Pid, patience: Duration) -> Self {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            let timed_out =
                receiver.recv_timeout(patience) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
            if timed_out {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        Self(sender)
    }

    fn dismiss(self) {
        drop(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_off_help() {
        let help = "  -m, --mem=<n>  size\n      --pci-hotplug-slots <N>\n  [--no-smt] --x-y=z --";
        let found: Vec<String> = long_options(help).into_iter().collect();
        assert_eq!(found, ["--mem", "--no-smt", "--pci-hotplug-slots", "--x-y"]);
    }

    /// From Cloud Hypervisor 54 and Firecracker 1.17.
    #[test]
    fn options_of_real_help() {
        let help = "      --landlock\n          enable/disable Landlock.\n      --landlock-rules <landlock-rules>...\n          Landlock parameters \"path=<path/to/{file/dir}>,access=[rw]\"\n      --watchdog\n          Enable virtio-watchdog\n  -V, --version";
        let found: Vec<String> = long_options(help).into_iter().collect();
        assert_eq!(
            found,
            ["--landlock", "--landlock-rules", "--version", "--watchdog"]
        );
        let help =
            "  --enable-pci                                              Enables PCIe support.";
        assert!(long_options(help).contains("--enable-pci"));
    }

    #[test]
    fn crosvms_commands_are_read_off_help() {
        let help = "Options:\n  --help            display\n\nCommands:\n  balloon           Set balloon size\n  make_rt           Enables real-time vcpu priority\n                    with `--delay-rt`\n  create_qcow2      Create Qcow2 image\n";
        assert_eq!(commands(help), ["balloon", "make_rt", "create_qcow2"]);
    }

    #[rstest::rstest]
    #[case("cloud-hypervisor v41.0", Some(Version(41, 0, 0)))]
    #[case("Firecracker v1.9.1\n", Some(Version(1, 9, 1)))]
    #[case(
        "Firecracker v1.17.0-dev\n\n2026-11-25T13:23:24.612406752 [anonymous-instance:main] Firecracker exiting successfully. exit_code=0",
        Some(Version(1, 17, 0))
    )]
    #[case(
        "cloud-hypervisor v54.0.0\nMigration Protocol Versions: 0",
        Some(Version(54, 0, 0))
    )]
    #[case("kvm tool 3.18.0\n", Some(Version(3, 18, 0)))]
    #[case("crosvm 0.1.0\n", Some(Version(0, 1, 0)))]
    #[case("no number 7 here.", None)]
    fn versions(#[case] text: &str, #[case] expected: Option<Version>) {
        assert_eq!(first_version(text), expected);
    }

    fn fake(dir: &Path, body: &str) -> std::path::PathBuf {
        let path = dir.join("qemu-fake");
        crate::program::script(&path, body);
        path
    }

    #[test]
    fn a_program_is_asked_once_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let asked = dir.path().join("asked");
        let body = format!("echo x >> '{}'; echo version 1.2.3", asked.display());
        let program = fake(dir.path(), &body);
        let times = || std::fs::read_to_string(&asked).unwrap().lines().count();
        let first = of(&program, Hypervisor::Firecracker, dir.path()).unwrap();
        assert_eq!(first.version, Version(1, 2, 3));
        assert_eq!(
            of(&program, Hypervisor::Firecracker, dir.path()).unwrap(),
            first
        );
        // Its version, then its options.
        assert_eq!(times(), 2);
        std::fs::write(dir.path().join("programs.json"), "rubbish").unwrap();
        of(&program, Hypervisor::Firecracker, dir.path()).unwrap();
        assert_eq!(times(), 4);
        fake(dir.path(), &format!("{body}; echo changed"));
        of(&program, Hypervisor::Firecracker, dir.path()).unwrap();
        assert_eq!(times(), 6);
    }

    #[test]
    fn a_build_without_seccomp_has_no_sandbox() {
        let dir = tempfile::tempdir().unwrap();
        let program = fake(
            dir.path(),
            "case \"$1\" in -sandbox) echo no such option >&2; exit 1;; --version) echo QEMU emulator version 8.1.0;; esac",
        );
        let features = of(&program, Hypervisor::Qemu, dir.path()).unwrap();
        let expected = Features {
            version: Version(8, 1, 0),
            sandbox: false,
            io_uring: false,
            options: BTreeSet::new(),
        };
        assert_eq!(features, expected);
    }

    #[test]
    fn a_program_without_a_version_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let program = fake(dir.path(), "echo what >&2; exit 3");
        let error = of(&program, Hypervisor::Qemu, dir.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("did not say its version; it said `what`"),
            "{error}"
        );
    }

    #[test]
    fn a_real_qemu_describes_itself() {
        let Ok(program) = crate::program::find("qemu-system-x86_64") else {
            println!("skipped: no qemu-system-x86_64");
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let features = of(&program, Hypervisor::Qemu, dir.path()).unwrap();
        assert!(features.version >= Version(7, 0, 0), "{features:?}");
        let expected = linked_to(&program, b"liburing");
        assert_eq!(features.io_uring, expected, "{features:?}");
        assert_eq!(
            features.sandbox,
            linked_to(&program, b"libseccomp"),
            "{features:?}"
        );
    }

    fn linked_to(program: &Path, library: &[u8]) -> bool {
        let bytes = std::fs::read(program).unwrap();
        bytes.windows(library.len()).any(|window| window == library)
    }
}
