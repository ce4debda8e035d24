//! Container images as guests: of a real registry, of layouts and archives, hostile ones, and one
//! that boots.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::initrd::OwnInitrd;
use image::{Error, Kind};
use spec::guest::{GuestSource, Network, Oci, OciFormat, OciImage, OciInit};
use spec::vm::Kernel;
use support::machine::{Machine, serve_qmp};
use support::*;

const TOOLS: [&str; 5] = ["skopeo", "umoci", "busybox", "mkfs.erofs", "fsck.erofs"];

/// What the image's entrypoint does: says what it finds, then waits to be asked to end.
const APP: &str = r#"#!/bin/sh
echo "app: user $(id -u):$(id -g) groups $(id -G)"
echo "app: $GREETING in $(pwd), home $HOME"
echo "app: address $(ip -4 addr show eth0 | sed -n 's/.*inet \([^ ]*\).*/\1/p')"
echo "app: route $(ip route | sed -n 's/default via \([^ ]*\).*/\1/p')"
echo "app: dns $(sed -n 's/nameserver //p' /etc/resolv.conf)"
echo "app: pid 1 is $(sed -n 's/^Name:\t//p' /proc/1/status)"
(sleep 0.1; echo orphan >/tmp/orphan) &
trap 'echo "app: told to end"; exit 7' QUIT
echo "app: ready"
while :; do sleep 1; done
"#;

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A layout with one image, made by umoci from a small tree.
fn layout(dir: &Path, greeting: &str) -> PathBuf {
    let (layout, bundle) = (dir.join("layout"), dir.join("bundle"));
    let image = format!("{}:latest", layout.display());
    run("umoci", &["init", "--layout", text(&layout)]);
    run("umoci", &["new", "--image", &image]);
    run("umoci", &["unpack", "--image", &image, text(&bundle)]);
    let tree = bundle.join("rootfs");
    for dir in ["bin", "sbin", "etc", "srv"] {
        fs::create_dir_all(tree.join(dir)).unwrap();
    }
    run("cp", &["/bin/busybox", text(&tree.join("bin/busybox"))]);
    for applet in ["sh", "id", "ip", "sed", "sleep", "pwd"] {
        symlink("busybox", tree.join("bin").join(applet)).unwrap();
    }
    // As in every image with busybox; it is no init that could be booted.
    symlink("../bin/busybox", tree.join("sbin/init")).unwrap();
    fs::write(
        tree.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\napp:x:7:8::/srv:/bin/sh\n",
    )
    .unwrap();
    fs::write(
        tree.join("etc/group"),
        "root:x:0:\napp:x:8:\nmore:x:9:app\n",
    )
    .unwrap();
    fs::write(tree.join("app"), APP).unwrap();
    fs::set_permissions(tree.join("app"), fs::Permissions::from_mode(0o755)).unwrap();
    run("umoci", &["repack", "--image", &image, text(&bundle)]);
    let greeting = format!("GREETING={greeting}");
    run(
        "umoci",
        &[
            "config",
            "--image",
            &image,
            "--config.entrypoint",
            "/app",
            "--config.env",
            &greeting,
            "--config.user",
            "app",
            "--config.workingdir",
            "/srv",
            "--config.stopsignal",
            "SIGQUIT",
        ],
    );
    layout
}

fn vm_of(image: OciImage, kernel: &Path) -> spec::Vm {
    let mut guest = guest(GuestSource::Oci(Oci {
        image,
        tls_verify: false,
        init: OciInit::Auto,
    }));
    guest.network = Network::Dhcp;
    let mut vm = vm(guest);
    vm.boot.kernel = Kernel::Path(kernel.to_owned());
    vm
}

fn local(format: OciFormat, path: &Path) -> OciImage {
    OciImage::Local {
        format,
        path: path.to_owned(),
        reference: (format == OciFormat::Layout).then(|| "latest".to_owned()),
    }
}

fn kernel(dir: &Path) -> PathBuf {
    let kernel = dir.join("vmlinuz");
    fs::write(&kernel, "kernel").unwrap();
    kernel
}

/// Debian's registry on a free port; ended with the test.
struct Registry {
    child: Child,
    address: String,
}

impl Registry {
    fn start(dir: &Path) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let config = dir.join("registry.yml");
        let data = dir.join("registry");
        let yaml = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '{address}'}}\n",
            data.display()
        );
        fs::write(&config, yaml).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "no registry");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, address }
    }

    fn push(&self, layout: &Path) {
        let from = format!("oci:{}:latest", layout.display());
        let to = format!("docker://{}/me/app:1", self.address);
        run("skopeo", &["copy", "--dest-tls-verify=false", &from, &to]);
    }

    fn image(&self) -> OciImage {
        OciImage::Registry(format!("{}/me/app:1", self.address))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_image_of_a_registry_is_pinned_until_it_is_updated() {
    if !is_root() || !have(&TOOLS) || !have(&["docker-registry"]) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let (one, two) = (temp.path().join("one"), temp.path().join("two"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&two).unwrap();
    let registry = Registry::start(temp.path());
    registry.push(&layout(&one, "first"));
    let vm = vm_of(registry.image(), &kernel(temp.path()));
    let mut bench = Bench::new(temp.path(), &temp.path().join("cache"));
    let first = bench.build(&vm).unwrap();
    let lock = bench.lock.render();
    assert!(lock.contains("digest = \"sha256:"), "{lock}");

    // The tag moves on; what is pinned stays, here and with another store and cache.
    registry.push(&layout(&two, "second"));
    assert_eq!(bench.build(&vm).unwrap(), first);
    let mut other = Bench::new(&temp.path().join("other"), &temp.path().join("cache2"));
    other.lock = image::Lock::parse(&lock).unwrap();
    let again = other.build(&vm).unwrap();
    let name = |built: &image::Built| {
        built
            .store_disk
            .as_ref()
            .unwrap()
            .file_name()
            .unwrap()
            .to_owned()
    };
    assert_eq!(name(&again), name(&first));
    assert_eq!(other.lock.render(), lock);
    let read = |built: &image::Built| fs::read(built.store_disk.as_ref().unwrap()).unwrap();
    assert!(read(&again) == read(&first), "two builds differ");

    bench.lock = image::Lock::parse(&lock).unwrap();
    bench.update = true;
    let updated = bench.build(&vm).unwrap();
    assert_ne!(updated.store_disk, first.store_disk);
    let out = temp.path().join("out");
    extract(updated.store_disk.as_deref().unwrap(), &out);
    let entry = fs::read_to_string(out.join("etc/microvm/entry")).unwrap();
    assert!(entry.contains("variable GREETING=second\n"), "{entry}");
    assert!(entry.contains("user 7 8 9\n"), "{entry}");

    // Nobody vouches for a registry without TLS: that has to be said.
    let mut strict = vm.clone();
    if let GuestSource::Oci(oci) = &mut strict.guest.source {
        oci.tls_verify = true;
    }
    let mut bench = Bench::new(&temp.path().join("strict"), &temp.path().join("cache3"));
    let error = bench.build(&strict).unwrap_err();
    assert!(
        error.to_string().contains("`guest.ociTlsVerify = false`"),
        "{error}"
    );
}

#[test]
fn layouts_and_archives_give_the_same_guest() {
    if !is_root() || !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let layout = layout(temp.path(), "hello");
    let from = format!("oci:{}:latest", layout.display());
    let oci = temp.path().join("image.tar");
    let docker = temp.path().join("docker.tar");
    run(
        "skopeo",
        &["copy", &from, &format!("oci-archive:{}", oci.display())],
    );
    let to = format!("docker-archive:{}:me/app:1", docker.display());
    run("skopeo", &["copy", &from, &to]);
    let kernel = kernel(temp.path());
    let mut bench = Bench::new(temp.path(), &cache());
    let mut content = |number: &str, image| {
        let built = bench.build(&vm_of(image, &kernel)).unwrap();
        let out = temp.path().join(number);
        extract(built.store_disk.as_deref().unwrap(), &out);
        fs::read_to_string(out.join("etc/microvm/entry")).unwrap()
            + &fs::read_to_string(out.join("app")).unwrap()
    };
    let first = content("a", local(OciFormat::Layout, &layout));
    assert_eq!(content("b", local(OciFormat::Found, &layout)), first);
    assert_eq!(content("c", local(OciFormat::Found, &oci)), first);
    assert_eq!(content("d", local(OciFormat::Found, &docker)), first);
    assert_eq!(
        content("e", local(OciFormat::DockerArchive, &docker)),
        first
    );
    assert_eq!(bench.lock.render(), image::Lock::default().render());
}

/// Replaces the image's only layer by an archive that python's tarfile writes as it is told.
fn with_layer(layout: &Path, members: &str) {
    let script = format!(
        r#"
import tarfile, io, hashlib, json, os, sys
base = sys.argv[1]
def member(name, kind=tarfile.REGTYPE, link="", data=b"", mode=0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(data), mode
    info.devmajor, info.devminor = 1, 3
    tar.addfile(info, io.BytesIO(data))
raw = io.BytesIO()
tar = tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT)
{members}
tar.close()
def blob(data):
    digest = hashlib.sha256(data).hexdigest()
    open(base + "/blobs/sha256/" + digest, "wb").write(data)
    return "sha256:" + digest, len(data)
layer, size = blob(raw.getvalue())
config = {{"architecture": "amd64", "os": "linux", "config": {{"Entrypoint": ["/x"]}},
  "rootfs": {{"type": "layers", "diff_ids": [layer]}}}}
config, length = blob(json.dumps(config).encode())
manifest = {{"schemaVersion": 2,
  "config": {{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": length}},
  "layers": [{{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": size}}]}}
manifest, length = blob(json.dumps(manifest).encode())
index = {{"schemaVersion": 2, "manifests": [{{"mediaType": "application/vnd.oci.image.manifest.v1+json",
  "digest": manifest, "size": length, "annotations": {{"org.opencontainers.image.ref.name": "latest"}}}}]}}
open(base + "/index.json", "w").write(json.dumps(index))
"#
    );
    run("python3", &["-c", &script, text(layout)]);
}

#[test]
fn hostile_layers_stay_in_their_tree() {
    if !is_root() || !have(&TOOLS) || !have(&["python3"]) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let outside = temp.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "s3cret").unwrap();
    let layout = layout(temp.path(), "hello");
    let out = outside.display();
    let up = "../".repeat(20);
    let layers = [
        format!("member('{up}{out}/escaped', data=b'x')"),
        format!("member('{out}/escaped', data=b'x')"),
        format!("member('door', tarfile.SYMTYPE, '{out}')\nmember('door/escaped', data=b'x')"),
        format!("member('door', tarfile.SYMTYPE, '{up}{out}')\nmember('door/escaped', data=b'x')"),
        format!("member('etc', tarfile.SYMTYPE, '{out}')"),
        format!("member('leak', tarfile.LNKTYPE, '{out}/secret')"),
        format!("member('leak', tarfile.LNKTYPE, '{up}{out}/secret')"),
        format!("member('leak', tarfile.SYMTYPE, '{out}/secret')\nmember('leak', data=b'changed')"),
        "member('dev', tarfile.DIRTYPE, mode=0o755)\nmember('dev/null', tarfile.CHRTYPE, mode=0o666)\nmember('node', tarfile.BLKTYPE, mode=0o666)".to_owned(),
    ];
    let kernel = kernel(temp.path());
    for (number, layer) in layers.iter().enumerate() {
        with_layer(
            &layout,
            &format!("{layer}\nmember('x', data=b'', mode=0o755)"),
        );
        let mut bench = Bench::new(&temp.path().join(number.to_string()), &cache());
        let vm = vm_of(local(OciFormat::Layout, &layout), &kernel);
        if let Ok(built) = bench.build(&vm) {
            let to = temp.path().join(format!("out{number}"));
            extract(built.store_disk.as_deref().unwrap(), &to);
            let leaked = fs::symlink_metadata(to.join("leak")).is_ok_and(|leak| {
                leak.is_file() && fs::read(to.join("leak")).unwrap() == b"s3cret"
            });
            assert!(!leaked, "{layer}");
        }
        let names: Vec<_> = fs::read_dir(&outside).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "{layer}");
        assert_eq!(
            fs::read(outside.join("secret")).unwrap(),
            b"s3cret",
            "{layer}"
        );
        assert!(
            fs::metadata("/dev/null")
                .unwrap()
                .file_type()
                .is_char_device()
        );
        assert_eq!(leftovers(&bench.store()), Vec::<String>::new());
    }
}

#[test]
fn what_is_no_image_is_told_in_words() {
    if !is_root() || !have(&TOOLS) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(temp.path(), &cache());
    let kernel = kernel(temp.path());
    let mut error = |image| bench.build(&vm_of(image, &kernel)).unwrap_err();
    let absent = error(local(OciFormat::Layout, &temp.path().join("absent")));
    assert!(absent.to_string().ends_with("is not there"), "{absent}");
    let archive = temp.path().join("a.tar");
    run(
        "tar",
        &[
            "--create",
            "--file",
            text(&archive),
            "--files-from",
            "/dev/null",
        ],
    );
    let empty = error(local(OciFormat::Found, &archive));
    assert!(
        empty.to_string().contains("no archive of an image"),
        "{empty}"
    );
    assert_eq!(empty.kind(), Kind::Definition);

    let layout = layout(temp.path(), "x");
    run(
        "umoci",
        &[
            "config",
            "--image",
            &format!("{}:latest", layout.display()),
            "--clear=config.entrypoint",
        ],
    );
    let nothing = error(local(OciFormat::Layout, &layout));
    assert!(nothing.to_string().contains("nothing to run"), "{nothing}");
}

#[test]
fn an_image_without_an_init_boots_and_runs_its_entrypoint() {
    if !have(&TOOLS) || !have(&["qemu-system-x86_64", "depmod"]) {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let layout = layout(temp.path(), "hello");
    let mut vm = vm_of(local(OciFormat::Layout, &layout), Path::new("/"));
    vm.boot.kernel = Kernel::Auto;
    let interface = serde_json::json!([{"id": "n", "mac": "02:00:00:00:00:01", "kind": "user"}]);
    vm.interfaces = serde_json::from_value(interface).unwrap();
    let mut bench = Bench::new(temp.path(), &cache());
    let built = match bench.build_with(&vm, &OwnInitrd) {
        Err(Error::Archive { url, reason }) => return eprintln!("skipped: {url}: {reason}"),
        built => built.unwrap(),
    };
    let mut guest = Machine::start(&built, "", |qemu, dir| {
        qemu.args(["-no-reboot", "-netdev", "user,id=n", "-device"])
            .arg("virtio-net-pci,netdev=n,romfile=");
        serve_qmp(qemu, dir);
    });
    guest.wait("the entrypoint did not start", |guest| {
        guest.console().contains("app: ready").then_some(())
    });
    let console = guest.console();
    for line in [
        "app: user 7:8 groups 8 9",
        "app: hello in /srv, home /srv",
        "app: address 10.0.2.15/24",
        "app: route 10.0.2.2",
        "app: dns 10.0.2.3",
        "app: pid 1 is microvm-init",
    ] {
        assert!(console.contains(line), "{line}:\n{console}");
    }
    guest.press_the_power_button();
    guest.ends_well();
    let console = guest.console();
    for line in [
        "microvm: asked to stop",
        "app: told to end",
        "microvm: `/app` ended: exit code 7",
        "Power down",
    ] {
        assert!(console.contains(line), "{line}:\n{console}");
    }
}
