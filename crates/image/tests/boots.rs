//! What a hypervisor needs of its guest, seen in real guests: the end that it wants, with a clean
//! volume, an answer on the agent's channel, credentials from a disk. QEMU stands for the other hypervisors: it has all
//! these channels, and tells a reset from a power-off.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use image::initrd::OwnInitrd;
use image::{Built, Error};
use spec::guest::{File, FileContent};
use spec::vm::{Access, Create, Hypervisor, ImageType, Volume};
use support::machine::{Machine, PATIENCE, disk};
use support::*;

const TOOLS: [&str; 5] = [
    "mmdebstrap",
    "mkfs.erofs",
    "mkfs.ext4",
    "depmod",
    "qemu-system-x86_64",
];

/// Says on the console what the guest has, and leaves in the way that a kernel parameter names.
const REPORT: &str = r#"#!/bin/sh
exec >/dev/console 2>&1
read -r token <"$CREDENTIALS_DIRECTORY/token"
echo "report: token $token"
stat -c 'report: mode %a %U %n' /run/credentials/@system/*
for directory in /run/credentials/*; do
    echo "report: directory $directory"
done
for agent in $(grep -ls '^microvm-agent' /proc/[0-9]*/cmdline); do
    sed -n 's/^Anonymous:[^0-9]*/report: agent /p' "${agent%cmdline}smaps_rollup"
done
echo "report: done"
read -r line </proc/cmdline
case $line in
    *test.verb=*) systemctl --no-block "${line##*test.verb=}" ;;
esac
"#;

/// Booted instead of all else that Debian starts.
const ONLY: &str = "systemd.unit=report.service";

const UNIT: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\nLoadCredential=token\n\
                    ExecStart=/bin/sh /usr/local/sbin/report\n";

fn vm(hypervisor: Hypervisor) -> spec::Vm {
    let mut guest = guest(debian("bookworm"));
    let file = |text: &str| File {
        content: FileContent::Text(text.to_owned()),
        mode: 0o644,
        owner: "root:root".to_owned(),
    };
    guest
        .files
        .insert("/usr/local/sbin/report".into(), file(REPORT));
    guest
        .files
        .insert("/etc/systemd/system/report.service".into(), file(UNIT));
    guest.network = spec::guest::Network::None;
    let mut vm = support::vm(guest);
    vm.hypervisor = hypervisor;
    vm.credential_files = BTreeMap::from([("token".to_owned(), "/unused".into())]);
    vm.store.writable_overlay = Some("/overlay".into());
    vm.volumes = vec![Volume {
        image: "overlay.img".into(),
        mount_point: Some("/overlay".into()),
        fs_type: "ext4".to_owned(),
        label: None,
        serial: None,
        access: Access::ReadWrite,
        direct: false,
        create: Create::Never,
        image_type: ImageType::Raw,
    }];
    vm
}

fn volume_of(dir: &Path) -> PathBuf {
    dir.join("overlay.img")
}

fn make_volume(image: &Path) {
    fs::File::create(image).unwrap().set_len(64 << 20).unwrap();
    let mut mkfs = Command::new("mkfs.ext4");
    let status = mkfs.arg("-q").arg(image).status().unwrap();
    assert!(status.success());
}

/// Whether an ext file system was unmounted: its state is 1 (clean), and nothing is left in its
/// journal (`EXT3_FEATURE_INCOMPAT_RECOVER`).
fn is_clean(image: &Path) -> bool {
    let mut superblock = [0; 1024];
    let file = fs::File::open(image).unwrap();
    file.read_exact_at(&mut superblock, 1024).unwrap();
    superblock[0x3a] == 1 && superblock[0x60] & 4 == 0
}

/// A guest with a volume and credentials.
struct Guest(Machine);

impl std::ops::Deref for Guest {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.0
    }
}

impl std::ops::DerefMut for Guest {
    fn deref_mut(&mut self) -> &mut Machine {
        &mut self.0
    }
}

impl Guest {
    fn start(built: &Built, append: &str, own: &dyn Fn(&Path) -> Vec<String>) -> Self {
        Self(Machine::start(
            built,
            &format!("{ONLY} {append}"),
            |qemu, dir| {
                let volume = volume_of(dir);
                make_volume(&volume);
                disk(qemu, "vol0", &volume, "off");
                let rendered = guest_init::credentials::render(&[("token", "s3cret")]).unwrap();
                let credentials = dir.join("credentials");
                fs::write(&credentials, rendered).unwrap();
                disk(qemu, "credentials", &credentials, "on");
                qemu.args(own(dir));
            },
        ))
    }

    /// What the guest reported.
    fn report(&mut self) -> Vec<String> {
        self.wait("no report", |guest| {
            guest.console().contains("report: done").then_some(())
        });
        let console = self.console();
        let lines = console
            .lines()
            .filter_map(|line| line.strip_prefix("report: "));
        lines.map(str::to_owned).collect()
    }

    fn ends(&mut self) {
        self.ends_well();
        assert!(is_clean(&volume_of(self.dir.path())), "{}", self.console());
    }

    /// Says one line to the agent, over a connection of its own; what others left unread or
    /// unfinished comes before.
    fn ask(&self, line: &str) -> String {
        let stream = UnixStream::connect(self.agent()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = BufReader::new(stream);
        let mut say = |line: &str| {
            let stream = stream.get_mut();
            stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        };
        say("\nping");
        say(line);
        let mut answers = stream.lines().map(Result::unwrap);
        answers.find(|answer| answer.trim() == "pong").unwrap();
        answers.next().unwrap().trim().to_owned()
    }

    fn agent(&self) -> PathBuf {
        agent(self.dir.path())
    }
}

fn agent(dir: &Path) -> PathBuf {
    dir.join("agent.sock")
}

fn chardev(dir: &Path) -> String {
    format!(
        "socket,id=agent,server=on,wait=off,path={}",
        agent(dir).display()
    )
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// One test, because all boot the same store disk.
#[test]
fn guests_leave_answer_and_get_credentials_as_their_hypervisors_need() {
    if !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(temp.path(), &cache());
    let hypervisors = [
        Hypervisor::Stratovirt,
        Hypervisor::Kvmtool,
        Hypervisor::CloudHypervisor,
    ];
    let mut build = |hypervisor| bench.build_with(&vm(hypervisor), &OwnInitrd);
    let [stratovirt, kvmtool, cloud_hypervisor] = match hypervisors.map(&mut build) {
        [Err(Error::Archive { url, reason }), ..] => {
            return eprintln!("skipped: {url}: {reason}");
        }
        built => built.map(Result::unwrap),
    };
    for other in [&kvmtool, &cloud_hypervisor] {
        assert_eq!(stratovirt.store_disk, other.store_disk);
        assert_ne!(stratovirt.initrd, other.initrd);
    }
    assert_eq!(stratovirt.kernel, kvmtool.kernel);
    agent_on_a_virtio_port(&stratovirt);
    agent_on_a_serial_port(&kvmtool);
    reboot_becomes_a_power_off(&cloud_hypervisor);
}

fn agent_on_a_virtio_port(built: &Built) {
    let mut guest = Guest::start(built, "", &|dir| {
        let mut own = words(&["-no-reboot"]);
        own.extend(words(&[
            "-device",
            "virtio-serial-pci",
            "-chardev",
            &chardev(dir),
        ]));
        own.extend(words(&[
            "-device",
            "virtserialport,chardev=agent,name=org.microvm.agent",
        ]));
        own
    });
    check_report(&guest.report());
    check_agent(&mut guest, "Power down");
}

fn agent_on_a_serial_port(built: &Built) {
    let mut guest = Guest::start(built, "", &|dir| {
        let mut own = words(&["-no-reboot"]);
        own.extend(words(&[
            "-chardev",
            &chardev(dir),
            "-serial",
            "chardev:agent",
        ]));
        own
    });
    check_report(&guest.report());
    check_agent(&mut guest, "Restarting system");
}

/// The kernel is the unpacked one; QEMU would start the guest again after a reset.
fn reboot_becomes_a_power_off(built: &Built) {
    assert!(fs::read(&built.kernel).unwrap().starts_with(b"\x7fELF"));
    let mut guest = Guest::start(built, "test.verb=reboot", &|_| Vec::new());
    let report = guest.report();
    check_report(&report);
    assert!(
        !report.iter().any(|line| line.starts_with("agent ")),
        "{report:?}"
    );
    guest.ends();
    let boots = guest.console().matches("Linux version").count();
    assert_eq!(boots, 1, "{}", guest.console());
}

fn check_report(report: &[String]) {
    let has = |line: &str| report.iter().any(|own| own == line);
    assert!(has("token s3cret"), "{report:?}");
    assert!(
        has("mode 400 root /run/credentials/@system/token"),
        "{report:?}"
    );
    assert!(!has("directory /run/credentials/@initrd"), "{report:?}");
}

/// `last`: what the kernel says of a reset or a power-off.
fn check_agent(guest: &mut Guest, last: &str) {
    let report = guest.report();
    let kib = report.iter().find_map(|line| line.strip_prefix("agent "));
    let kib: u32 = kib.unwrap().trim_end_matches(" kB").parse().unwrap();
    // Beside the pages of its program, which is there for the shutdown anyway.
    assert!(kib < 512, "{kib} KiB");
    println!("agent: {kib} KiB");
    assert_eq!(guest.ask("ping"), "pong");
    // A client that went away in the middle of a line.
    drop(
        UnixStream::connect(guest.agent())
            .unwrap()
            .write_all(b"pow"),
    );
    std::thread::sleep(Duration::from_secs(2));
    assert!(guest.ask("reboot").starts_with("error: "));
    assert_eq!(guest.ask("poweroff"), "ok");
    guest.ends();
    let console = guest.console();
    // systemd went all the way to its power-off, which became what ends the hypervisor.
    for stage in ["poweroff.target", "Returning to initrd", last] {
        assert!(console.contains(stage), "{stage}:\n{console}");
    }
    let others = ["Restarting system", "Power down"];
    let other = others.iter().find(|&&other| other != last).unwrap();
    assert!(!console.contains(other), "{console}");
}
