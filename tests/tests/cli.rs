//! The program's whole output: exit code, stdout and stderr of commands that boot nothing.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// An empty directory to call the program in, with a store and a configuration of its own.
struct Shell {
    directory: TempDir,
}

impl Shell {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
        }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("it can be made");
        std::fs::write(path, text).expect("it can be written");
    }

    fn output(&self, line: &str) -> Output {
        let path = self.directory.path();
        Command::new(harness::host::microvm())
            .args(line.split_whitespace())
            .current_dir(path)
            .env("MICROVM_STORE", path.join("store"))
            .env("MICROVM_CACHE", path.join("cache"))
            .env("MICROVM_CONFIG", path.join("config"))
            .env("NO_COLOR", "1")
            .env("PATH", path.join("no-programs"))
            .output()
            .expect("the program can be run")
    }

    /// Exit code, stdout and stderr as one text.
    fn run(&self, line: &str) -> String {
        let output = self.output(line);
        let code = output
            .status
            .code()
            .map_or("signal".to_owned(), |code| code.to_string());
        let own = self.directory.path().canonicalize().expect("it is there");
        let text = format!(
            "$ microvm {line}\n{}{}exit {code}\n",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        text.replace(&own.display().to_string(), "[DIR]")
    }

    /// Several commands, one after the other.
    fn script(&self, lines: &[&str]) -> String {
        lines
            .iter()
            .map(|line| self.run(line))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

#[test]
fn init_writes_what_check_accepts() {
    let shell = Shell::new();
    insta::assert_snapshot!(shell.script(&[
        "init",
        "check",
        "init",
        "init --template minimal sub/dir",
        "check ./sub/dir",
        "check .#nothing",
    ]));
}

#[test]
fn registry() {
    let shell = Shell::new();
    shell.write("vms/microvm.toml", "[vm.a]\n[vm.b]\n");
    insta::assert_snapshot!(shell.script(&[
        "registry list",
        "registry add mine ./vms",
        "registry list",
        "check mine#a",
        "check mine",
        "build mine",
        "registry add -- -x ./vms",
        "registry add again mine",
        "registry add named ./vms#a",
        "registry remove mine",
        "registry remove mine",
        "registry remove microvm",
        "check mine",
    ]));
}

#[test]
fn references_that_lead_nowhere() {
    let shell = Shell::new();
    shell.write("flake/flake.nix", "{}");
    insta::assert_snapshot!(shell.script(&[
        "check",
        "check ./absent",
        "check ./flake",
        "check .#",
        "check ftp:x",
        "check github:owner",
        "check git+https://host/repo?ref=--upload-pack=x",
        "check microvm#qemu-exmaple",
    ]));
}

#[test]
fn wrong_definition() {
    let shell = Shell::new();
    shell.write(
        "microvm.toml",
        "[vm.web]\nmemm = 1\nhypervisor = \"firecracker\"\nshares = [{ tag = \"a\", source = \"/srv\", mountPoint = \"/srv\" }]\n",
    );
    shell.write("fire/microvm.toml", "[vm.web]\nhypervisor = \"firecracker\"\nshares = [{ tag = \"a\", source = \"/srv\", mountPoint = \"/srv\" }]\n");
    insta::assert_snapshot!(shell.script(&[
        "check",
        "check --json",
        "check ./fire",
        "build ./fire"
    ]));
}

#[test]
fn missing_programs() {
    let shell = Shell::new();
    shell.write(
        "microvm.toml",
        "[vm.web]\n[vm.fire]\nhypervisor = \"firecracker\"\n",
    );
    insta::assert_snapshot!(shell.script(&["build .#fire", "build .#web", "run .#web"]));
    let leftovers = shell.path().join("result");
    assert!(!leftovers.exists(), "a failed build made a link");
}

#[test]
fn usage() {
    let shell = Shell::new();
    insta::assert_snapshot!(shell.script(&[
        "--help",
        "bild",
        "options nonsense",
        "options mem",
        "gc",
        "top",
        "top --interval 0",
    ]));
}

#[test]
fn options_and_schema_are_json() {
    let shell = Shell::new();
    for line in [
        "options --json",
        "options volumes --json",
        "schema",
        "hypervisors --json",
        "registry list --json",
    ] {
        let output = shell.output(line);
        assert!(output.status.success(), "`{line}` failed");
        let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&output.stdout);
        assert!(parsed.is_ok(), "`{line}` printed what is not JSON");
    }
}

#[test]
fn git_sources() {
    if let Some(why) = harness::host::lacks("git") {
        println!("skipped: git_sources: {why}");
        return;
    }
    let shell = Shell::new();
    shell.write("repo/vms/microvm.toml", "[vm.web]\n");
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let status = Command::new("git")
            .args(identity)
            .args(args)
            .current_dir(shell.path().join("repo"))
            .status();
        assert!(status.expect("git can be run").success());
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "x"]);
    let url = format!("git+file://{}/repo", shell.path().display());
    let check = |reference: &str| {
        let output = Command::new(harness::host::microvm())
            .args(["check", reference])
            .env("MICROVM_CACHE", shell.path().join("cache"))
            .env("MICROVM_CONFIG", shell.path().join("config"))
            .output()
            .expect("the program can be run");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(check(&format!("{url}?ref=main&dir=vms#web")).0, Some(0));
    assert_eq!(check(&format!("{url}?dir=vms")).0, Some(0));
    assert_eq!(check(&url).0, Some(4), "there is no definition at the top");
    let (code, said) = check(&format!("{url}?ref=absent"));
    assert_eq!(code, Some(4));
    assert!(said.contains("absent"), "{said}");
}

/// A package of the program has a page for each command that help shows, and completions that the
/// shell takes.
#[test]
fn pages_and_completions_are_written() {
    let shell = Shell::new();
    assert_eq!(
        shell.run("generate usr"),
        "$ microvm generate usr\nexit 0\n"
    );
    let share = shell.path().join("usr/share");
    let help = String::from_utf8(shell.output("--help").stdout).expect("it is UTF-8");
    let listed = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let names: Vec<&str> = listed
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(names.contains(&"run"), "{help}");
    for name in &names {
        let page = share.join(format!("man/man1/microvm-{name}.1"));
        let text = std::fs::read_to_string(&page).expect("each has a page");
        assert!(text.contains(".SH SYNOPSIS"), "{text}");
    }
    assert!(!share.join("man/man1/microvm-receive.1").exists());
    let complete = "set -e; . \"$0\"; COMP_WORDS=(microvm ch); COMP_CWORD=1; \
                    _microvm microvm ch microvm; echo \"${COMPREPLY[*]}\"";
    let completions = share.join("bash-completion/completions/microvm");
    let bash = Command::new("bash")
        .args(["-c", complete])
        .arg(&completions)
        .output();
    let completed = String::from_utf8(bash.expect("bash is there").stdout).expect("it is UTF-8");
    assert_eq!(completed.trim(), "check");
}
