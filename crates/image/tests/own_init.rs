//! A guest whose init is busybox's: nothing in it looks at the power button but our agent.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use image::Error;
use image::initrd::OwnInitrd;
use spec::guest::{GuestSource, Network, Oci, OciFormat, OciImage, OciInit};
use spec::vm::Kernel;
use support::machine::{Machine, serve_qmp};
use support::*;

const TOOLS: [&str; 7] = [
    "busybox",
    "depmod",
    "mkfs.erofs",
    "qemu-system-x86_64",
    "skopeo",
    "tar",
    "umoci",
];

const TABLE: &str = "\
::sysinit:/bin/echo own: up
::shutdown:/bin/echo own: down
";

/// An image with one layer, as docker-archive has it.
fn archive(dir: &Path) -> std::path::PathBuf {
    let tree = dir.join("tree");
    for inner in ["bin", "sbin", "etc"] {
        fs::create_dir_all(tree.join(inner)).unwrap();
    }
    fs::copy("/bin/busybox", tree.join("bin/busybox")).unwrap();
    for link in ["bin/echo", "sbin/init", "sbin/poweroff"] {
        symlink("../bin/busybox", tree.join(link)).unwrap();
    }
    fs::write(tree.join("etc/inittab"), TABLE).unwrap();
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(dir).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run("tar", &["-C", "tree", "-cf", "layer.tar", "."]);
    let digest = run("sha256sum", &["layer.tar"]);
    let digest = digest.split(' ').next().unwrap();
    let config = format!(
        r#"{{"architecture": "amd64", "os": "linux", "config": {{}},
            "rootfs": {{"type": "layers", "diff_ids": ["sha256:{digest}"]}}}}"#
    );
    fs::write(dir.join("config.json"), config).unwrap();
    let manifest = r#"[{"Config": "config.json", "RepoTags": ["a:b"], "Layers": ["layer.tar"]}]"#;
    fs::write(dir.join("manifest.json"), manifest).unwrap();
    let parts = [
        "-cf",
        "image.tar",
        "manifest.json",
        "config.json",
        "layer.tar",
    ];
    run("tar", &parts);
    dir.join("image.tar")
}

#[test]
fn shuts_itself_down_when_the_power_button_is_pressed() {
    if !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let image = OciImage::Local {
        format: OciFormat::DockerArchive,
        path: archive(temp.path()),
        reference: None,
    };
    let mut guest = guest(GuestSource::Oci(Oci {
        image,
        tls_verify: true,
        init: OciInit::Auto,
    }));
    guest.network = Network::None;
    let mut vm = vm(guest);
    vm.boot.kernel = Kernel::Auto;
    let mut bench = Bench::new(temp.path(), &cache());
    let built = match bench.build_with(&vm, &OwnInitrd) {
        Err(Error::Archive { url, reason }) => return eprintln!("skipped: {url}: {reason}"),
        built => built.unwrap(),
    };
    let mut guest = Machine::start(&built, "", serve_qmp);
    guest.wait("its init does not run", |guest| {
        guest.console().contains("own: up").then_some(())
    });
    guest.press_the_power_button();
    guest.ends_well();
    let console = guest.console();
    for line in ["own: down", "reboot: Power down"] {
        assert!(console.contains(line), "{line}:\n{console}");
    }
}
