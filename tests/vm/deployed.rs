//! A guest that has neither a password nor a key: deployed over SSH, it comes up, and its host is
//! let in by the key of this run.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::sshd::Sshd;
use harness::{Fleet, Outcome, check, host};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

const NAME: &str = "keyed";

pub fn lacks(_: &Fleet) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    ["sshd", "ssh-keygen", "tar"]
        .into_iter()
        .find_map(host::lacks)
}

pub fn comes_up_and_lets_its_host_in(fleet: &Fleet) -> Outcome {
    let directory = tempfile::Builder::new()
        .prefix("microvm-deploy-")
        .tempdir()?;
    let sshd = Sshd::start(directory.path())?;
    fleet.build(NAME)?;
    let mut deploy = fleet.microvm();
    deploy.args(["deploy", NAME, "--timeout", "400"]);
    let deployed = sshd.reached_by(&mut deploy).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&deployed.stderr).into_owned();
    let looked_at = deployed
        .status
        .success()
        .then_some(())
        .ok_or_else(|| format!("deploy ended with {}: {said}", deployed.status).into())
        .and_then(|()| {
            check!(
                said.contains("is up after"),
                "the guest did not say so: {said}"
            );
            let_in(fleet, &sshd)?;
            adopted(fleet, &sshd)
        });
    // Its guest is in the middle of its boot, and hears no button.
    let mut stop = verb(fleet, &sshd, "stop");
    let stopped = stop.env("MICROVM_STOP_TIMEOUT", "5").output()?;
    looked_at?;
    let code = stopped.status.code();
    check!(
        matches!(code, Some(0 | 10)),
        "stop ended with {}",
        stopped.status
    );
    Ok(())
}

/// One whose keeper was killed is kept by another, which starts it again when it is cut off.
fn adopted(fleet: &Fleet, sshd: &Sshd) -> Outcome {
    kill(holder(sshd, "keeper")?)?;
    host::output(&mut verb(fleet, sshd, "start"))?;
    let first = holder(sshd, "hypervisor")?;
    kill(first)?;
    let start = Instant::now();
    while !holder(sshd, "hypervisor").is_ok_and(|now| now != first) {
        let bound = Duration::from_secs(60);
        check!(
            start.elapsed() < bound,
            "it was not started again in {bound:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn holder(sshd: &Sshd, part: &str) -> Outcome<i32> {
    let run = sshd.state().join(".microvm/run");
    let text = std::fs::read_to_string(run.join(format!("{NAME}:{part}.lock")))?;
    let pid = text
        .split_whitespace()
        .next()
        .ok_or("the lock names nobody")?;
    Ok(pid.parse()?)
}

fn kill(pid: i32) -> Outcome {
    Ok(nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL)?)
}

fn let_in(fleet: &Fleet, sshd: &Sshd) -> Outcome {
    let port = fleet.port(&format!("tcp:{NAME}")).to_string();
    let without = Command::new("ssh")
        .args([
            "-F",
            "none",
            "-p",
            &port,
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentityFile=none",
        ])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["root@127.0.0.1", "true"])
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::null())
        .output()?;
    check!(
        !without.status.success(),
        "the guest lets in who has no key"
    );
    let hostname = host::output(verb(fleet, sshd, "ssh").args(["--", "hostname"]))?;
    check!(hostname.trim() == NAME, "ssh gave `{hostname}`");
    let mut exec = verb(fleet, sshd, "exec");
    exec.args([
        "--",
        "sh",
        "-c",
        "cat; echo \"$1\" >&2; exit 7",
        "sh",
        "it's  \"$HOME\"",
    ]);
    let mut child = exec
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        std::io::Write::write_all(&mut stdin, b"given")?;
    }
    let output = child.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let seen = (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    );
    let expected = (Some(7), "given".to_owned(), "it's  \"$HOME\"\n".to_owned());
    check!(seen == expected, "exec gave {seen:?}");
    Ok(())
}

fn verb(fleet: &Fleet, sshd: &Sshd, verb: &str) -> Command {
    let mut command = fleet.microvm();
    command
        .args([verb, NAME, "--state-dir"])
        .arg(sshd.state())
        .env("MICROVM_STORE", sshd.state().with_file_name("store"));
    command
}
