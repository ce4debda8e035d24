//! The installed QEMU takes every argument vector; a given guest boots with them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use backend::plan::{Accel, HostFacts, Plan};
use backend::qmp::{self, BalloonInfo, EventName};
use backend::version::parse_qemu;
use rstest::rstest;
use spec::vm::{Arch, Balloon, Hypervisor, ImageType, InterfaceKind, QemuMachine, SecurityModel};

use crate::running::Running;
use crate::sample;
use crate::samples::{self, Sample, interface, nine_p, share, volume};

const QEMU: &str = "qemu-system-x86_64";

/// How QEMU ends where the host lacks something, by sample; the arguments were parsed by then.
const HOST_LACKS: &[(&str, &[&str])] = &[
    (
        "bridge",
        &[
            "failed to create tun device",
            "bridge helper failed",
            "bridge.conf",
        ],
    ),
    ("cocoa", &["does not accept value 'cocoa'"]),
    (
        "gtk",
        &[
            "ui-gtk",
            "gtk initialization failed",
            "does not accept value 'gtk'",
        ],
    ),
    ("hugepages", &["Cannot allocate memory"]),
    ("virtiofs-hugepages", &["Failed to connect"]),
    (
        "macvtap",
        &[
            "Bad file descriptor",
            "is not a valid file descriptor",
            "Unable to query",
        ],
    ),
    (
        "macvtap-queues",
        &["Bad file descriptor", "Unable to query"],
    ),
    (
        "pci",
        &[
            "no iommu_group found",
            "no such host device",
            "vfio 0000:06:00.1",
        ],
    ),
    ("root-virtiofs", &["Failed to connect"]),
    ("tap", &["/dev/net/tun", "TUNSETIFF"]),
    ("tap-queues", &["/dev/net/tun", "TUNSETIFF", "vhost"]),
    ("tap-several", &["/dev/net/tun", "TUNSETIFF"]),
    ("tap-vhost", &["/dev/net/tun", "TUNSETIFF", "vhost"]),
    ("usb", &["'usb-host' is not a valid device model"]),
    ("virtiofs", &["Failed to connect"]),
    ("vsock", &["failed to open vhost device"]),
];

/// Facts about the QEMU on PATH; `None`, and says so, where there is none.
fn installed() -> Option<HostFacts> {
    let Ok(output) = Command::new(QEMU).arg("--version").output() else {
        eprintln!("skipped: {QEMU} is not installed");
        return None;
    };
    let sandbox = Command::new(QEMU)
        .args(["-sandbox", "on", "-version"])
        .output();
    Some(HostFacts {
        program: QEMU.into(),
        version: parse_qemu(&String::from_utf8_lossy(&output.stdout)).unwrap(),
        accel: Accel::Tcg {
            tsc_khz: tsc_khz(&fs::read_to_string("/proc/cpuinfo").unwrap()),
        },
        sandbox: sandbox.unwrap().status.success(),
        io_uring: false,
        ..sample::facts()
    })
}

/// Close enough to the TSC's frequency where that does not change.
fn tsc_khz(cpuinfo: &str) -> Option<u32> {
    let line = cpuinfo.lines().find(|line| line.starts_with("cpu MHz"))?;
    let mhz: f64 = line.split_once(':')?.1.trim().parse().ok()?;
    Some((mhz * 1000.0) as u32)
}

/// The beginning of a bzImage as far as QEMU's loader looks at it.
fn bz_image() -> Vec<u8> {
    let mut image = vec![0; 1 << 16];
    image[0x1f1] = 4;
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x020c_u16.to_le_bytes());
    image[0x211] = 1;
    image[0x22c..0x230].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    image
}

/// Makes what the sample names, below `dir`.
fn furnish(sample: &mut Sample, dir: &Path) {
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    sample.guest.kernel = file("vmlinuz", &bz_image());
    sample.guest.initrd = file("initrd", b"initrd");
    sample.guest.store_disk = sample
        .guest
        .store_disk
        .take()
        .map(|_| file("store, 1", &[0; 4096]));
    sample.guest.root_tree = sample.guest.root_tree.take().map(|_| dir.to_owned());
    sample
        .vm
        .volumes
        .retain(|volume| !volume.image.is_absolute());
    for volume in &sample.vm.volumes {
        create(volume.image_type, &dir.join(&volume.image));
    }
    for share in &mut sample.vm.shares {
        share.source = dir.join("share, 1");
        fs::create_dir_all(&share.source).unwrap();
    }
    for (name, path) in &mut sample.vm.credential_files {
        *path = file(&format!("{name}, 1"), b"secret");
    }
    for forward in &mut sample.vm.forward_ports {
        forward.host.port = free_port();
        if forward.guest.address == Some([10, 0, 2, 2].into()) || forward.guest.port == 514 {
            forward.guest.port = forward.host.port;
        }
    }
    sample.vm.user = sample.vm.user.as_ref().map(|_| "nobody".to_owned());
}

fn create(image_type: ImageType, path: &Path) {
    let format = match image_type {
        ImageType::Raw => "raw",
        ImageType::Qcow2 => "qcow2",
        ImageType::Vhd => "vpc",
        ImageType::Vhdx => "vhdx",
    };
    let mut command = Command::new("qemu-img");
    command
        .args(["create", "-q", "-f", format])
        .arg(path)
        .arg("8M");
    assert!(command.status().unwrap().success());
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    socket.local_addr().unwrap().port()
}

#[test]
fn qemu_takes_every_argument() {
    let Some(mut facts) = installed() else { return };
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let samples = samples::of(Hypervisor::Qemu).into_iter();
    for mut sample in samples.filter(Sample::is_possible) {
        facts.root = is_root;
        facts.io_uring = sample.name == "volumes";
        if sample.vm.arch == Arch::Aarch64 {
            eprintln!("skipped: {}: for another architecture", sample.name);
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        furnish(&mut sample, dir.path());
        match Plan::new(&sample.vm, &sample.guest, &facts) {
            Ok(plan) => start(&sample, &plan, dir.path()),
            Err(refused) => eprintln!("skipped: {}: {refused}", sample.name),
        }
    }
}

/// Starts QEMU with its processors stopped, and ends it.
fn start(sample: &Sample, plan: &Plan, dir: &Path) {
    let mut running = Running::start(plan, dir, &["-S"]);
    if sample.vm.socket.is_none() {
        return running.assert_alive_for(Duration::from_secs(1));
    }
    if let Err(error) = running.connect() {
        let lacks = HOST_LACKS.iter().find(|(name, _)| *name == sample.name);
        let known = lacks.is_some_and(|(_, lacks)| lacks.iter().any(|text| error.contains(text)));
        assert!(known, "{}: {error}\n{}", sample.name, sample::show(plan));
        eprintln!(
            "skipped: {}: {}",
            sample.name,
            error.lines().next().unwrap_or_default()
        );
        return;
    }
    let status: qmp::Status =
        serde_json::from_value(running.ask(qmp::Command::QueryStatus).unwrap()).unwrap();
    assert_eq!(status.status, "prelaunch", "{}", sample.name);
    running.ask(qmp::Command::Quit).unwrap();
    assert!(running.wait(Duration::from_secs(10)), "{}", sample.name);
}

/// Boots `MICROVM_TEST_KERNEL` with `MICROVM_TEST_INITRD`, which prints `READY` on the console
/// and powers off when the power button is pressed.
#[rstest]
fn boots(
    #[values(QemuMachine::Microvm, QemuMachine::Q35)] machine: QemuMachine,
    #[values(1, 2)] vcpu: u32,
) {
    let Some(mut facts) = installed() else { return };
    let variable = |name: &str| std::env::var_os(name).map(std::path::PathBuf::from);
    let (Some(kernel), Some(initrd)) = (
        variable("MICROVM_TEST_KERNEL"),
        variable("MICROVM_TEST_INITRD"),
    ) else {
        eprintln!("skipped: MICROVM_TEST_KERNEL and MICROVM_TEST_INITRD are not set");
        return;
    };
    facts.io_uring = true;
    let dir = tempfile::tempdir().unwrap();
    let mut guest = sample::guest();
    (guest.kernel, guest.initrd) = (kernel, initrd);
    guest.store_disk = Some(dir.path().join("store"));
    create(ImageType::Raw, &dir.path().join("store"));
    create(ImageType::Raw, &dir.path().join("var.img"));
    let mut vm = sample::vm();
    vm.options.qemu.machine = machine;
    vm.vcpu = vcpu.try_into().unwrap();
    vm.memory.balloon = Some(Balloon {
        initial_mib: 0,
        deflate_on_oom: true,
    });
    vm.volumes.push(volume("var.img"));
    vm.shares.push(share("share", nine_p(SecurityModel::None)));
    fs::create_dir(dir.path().join("share")).unwrap();
    vm.interfaces.push(interface("u", InterfaceKind::User));
    let plan = Plan::new(&vm, &guest, &facts).unwrap();

    let mut running = Running::start(&plan, dir.path(), &[]);
    running.connect().unwrap();
    running.until_console_says("READY");
    let size = 256 << 20;
    running.ask(qmp::Command::Balloon { value: size }).unwrap();
    let actual = running.until(|running| {
        let answer = running.ask(qmp::Command::QueryBalloon).unwrap();
        let info: BalloonInfo = serde_json::from_value(answer).unwrap();
        (info.actual == size).then_some(info.actual)
    });
    assert_eq!(actual, size);
    running.ask(qmp::Command::SystemPowerdown).unwrap();
    running.until_event(EventName::Powerdown);
    running.until_event(EventName::Shutdown);
    assert!(running.wait(Duration::from_secs(10)));
    for serial in ["serial=store", "serial=vol0"] {
        assert!(running.console().contains(serial), "{}", running.console());
    }
}
