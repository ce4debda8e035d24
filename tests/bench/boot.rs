//! Power-on to SSH banner, against the same guest with Debian's own initrd.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use harness::guest::answers_ssh;
use harness::{Fleet, Outcome, host};

use crate::table::{Table, median};

const TURNS: usize = 5;

pub fn to_ssh_banner(fleet: &Fleet, table: &mut Table) -> Outcome {
    let package = fleet.build("bench")?;
    let debian = Debian::make(fleet)?;
    let port = fleet.port("tcp:bench");
    let mut theirs = Vec::new();
    let ours = median(TURNS, || {
        theirs.push(debian.boot(port)?);
        let run = package.join("bin/microvm-run");
        banner(
            Command::new(run)
                .current_dir(fleet.state("bench")?)
                .env("MICROVM_CACHE", fleet.cache()),
            port,
        )
    })?;
    theirs.sort();
    let theirs = theirs[TURNS / 2];
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    table.row(
        "power-on to SSH banner",
        format!("{:.2} s", ours.as_secs_f64()),
        format!(
            "aim 0.6 or less; with Debian's initrd {:.2} s: {ratio:.2} of it",
            theirs.as_secs_f64()
        ),
    );
    Ok(())
}

/// The same tree on an ext4 disk, booted by the initrd that initramfs-tools makes.
struct Debian {
    kernel: PathBuf,
    initrd: PathBuf,
    disk: PathBuf,
    memory: String,
}

impl Debian {
    fn make(fleet: &Fleet) -> Outcome<Self> {
        let spec = std::fs::read_to_string(fleet.build("tree")?.join("share/microvm/spec.json"))?;
        let spec: serde_json::Value = serde_json::from_str(&spec)?;
        let text = |key: &str| {
            spec["guest"][key]
                .as_str()
                .map(PathBuf::from)
                .ok_or(format!("no {key} in spec.json"))
        };
        let tree = text("root_tree")?;
        let disk = fleet.path().join("debian.ext4");
        host::output(Command::new("truncate").args(["-s", "2G"]).arg(&disk))?;
        host::output(
            Command::new("mkfs.ext4")
                .args(["-q", "-d"])
                .arg(&tree)
                .arg(&disk),
        )?;
        Ok(Self {
            kernel: text("kernel")?,
            initrd: initrd_of(fleet, &tree)?,
            disk,
            memory: "512".to_owned(),
        })
    }

    fn boot(&self, port: u16) -> Outcome<Duration> {
        let tsc = tsc_khz()?;
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args([
            "-M",
            "microvm,acpi=on",
            "-accel",
            "tcg",
            "-m",
            &self.memory,
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-snapshot",
        ])
        .args(["-nographic", "-serial", "stdio", "-cpu", "max"])
        .arg("-kernel")
        .arg(&self.kernel)
        .arg("-initrd")
        .arg(&self.initrd)
        .args([
            "-append",
            &format!("console=ttyS0 reboot=t panic=-1 root=/dev/vda rw tsc_early_khz={tsc}"),
        ])
        .args([
            "-drive",
            &format!("id=root,format=raw,file={},if=none", self.disk.display()),
        ])
        .args([
            "-device",
            "virtio-blk-device,drive=root",
            "-device",
            "virtio-rng-device",
        ])
        .args([
            "-netdev",
            &format!("user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:22"),
            "-device",
            "virtio-net-device,netdev=n0",
        ]);
        banner(&mut qemu, port)
    }
}

/// From the start of the command to the banner; the guest is killed then.
///
/// Its console says when the server listens, and one connection is made then. To knock before that
/// would cost: sshd (OpenSSH 9.8 and later) lets those wait who leave without logging in.
fn banner(command: &mut Command, port: u16) -> Outcome<Duration> {
    let start = Instant::now();
    let mut child = Killed(
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let console = child.0.stdout.take().ok_or("no console")?;
    let listens = lines_of(console);
    loop {
        match listens.recv_timeout(BOUND.saturating_sub(start.elapsed())) {
            Ok(line) if line.contains("Started") && line.contains("ssh.service") => break,
            Ok(_) => {}
            Err(error) => {
                return Err(format!("{command:?}: the server does not start: {error}").into());
            }
        }
    }
    while !answers_ssh(port) {
        if start.elapsed() > BOUND {
            return Err(format!("{command:?}: no SSH after {} s", BOUND.as_secs()).into());
        }
    }
    Ok(start.elapsed())
}

const BOUND: Duration = Duration::from_secs(180);

/// Lines of a console; ends with it.
fn lines_of(console: ChildStdout) -> Receiver<String> {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            // Goes on when nobody listens any more, so that the guest can write.
            let _ = send.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
    receive
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The initrd of the tree's own kernel, made by initramfs-tools in a Debian tree of its own.
fn initrd_of(fleet: &Fleet, tree: &Path) -> Outcome<PathBuf> {
    let version = std::fs::read_dir(tree.join("usr/lib/modules"))?
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .next()
        .ok_or("the tree has no kernel modules")?;
    let release = std::fs::read_to_string(tree.join("etc/os-release"))?;
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .ok_or("no codename in os-release")?;
    let maker = fleet.path().join("initramfs-tools");
    let packages = format!("--include=initramfs-tools,linux-image-{version}");
    host::output(
        Command::new("mmdebstrap")
            .args(["--variant=minbase", &packages, codename])
            .arg(&maker),
    )?;
    Ok(maker.join(format!("boot/initrd.img-{version}")))
}

fn tsc_khz() -> Outcome<u64> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo")?;
    let mips: f64 = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("bogomips")?.split_once(':'))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or("no bogomips in /proc/cpuinfo")?;
    Ok((mips * 500.0) as u64)
}
