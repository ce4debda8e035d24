//! A package of ours under MicroVM.nix's host module: what that evaluates of it, and what its units
//! start, in their order, from where they start it.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::nix::{Nix, run, said, words};

use super::one;

/// What its units look for.
const WEB: &str = r#"
  microvm.cpu = "max";
  microvm.vcpu = 2;
  microvm.registerWithMachined = true;
  microvm.hypervisor = "qemu";
  microvm.shares = [
    { proto = "virtiofs"; tag = "ro-store"; source = "/nix/store"; mountPoint = "/nix/.ro-store"; }
  ];
  microvm.interfaces = [ { type = "tap"; id = "vm-web"; mac = "02:00:00:00:00:01"; } ];
"#;

/// What runs in a network of its own, and ends with the test.
struct World {
    keeper: Child,
    dir: PathBuf,
}

impl World {
    fn new(dir: PathBuf) -> Self {
        let keeper = Command::new("unshare")
            .args(["--net", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .expect("root may");
        // It is in its own network once it has become what it keeps.
        let name = format!("/proc/{}/comm", keeper.id());
        while std::fs::read_to_string(&name).is_ok_and(|name| name.trim() != "sleep") {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { keeper, dir }
    }

    /// A program of the host, in that network.
    fn within(&self, own: &Nix, program: impl AsRef<Path>) -> Command {
        let mut command = own.command("nsenter");
        command
            .args(["--net", "--target", &self.keeper.id().to_string()])
            .arg(program.as_ref())
            .current_dir("/")
            .env("MICROVM_CACHE", own.path().join("cache"));
        command
    }

    /// What a unit starts, as its `ExecStart` has it; `None` where its condition is not met.
    fn unit(&self, own: &Nix, link: &str, program: &str) -> Option<Command> {
        let program = self.dir.join(link).join("bin").join(program);
        program.exists().then(|| self.within(own, program))
    }

    /// The same with `Type=notify`, until it says that it is ready.
    fn notifies(&self, mut command: Command, name: &str) -> Started {
        let path = self.dir.join(format!("{name}.notify"));
        let socket = UnixDatagram::bind(&path).expect("it can be bound");
        let second = Some(Duration::from_secs(1));
        socket.set_read_timeout(second).expect("it can be set");
        let log = std::fs::File::create(self.dir.join(format!("{name}.log")));
        let child = command
            .current_dir(&self.dir)
            .env("NOTIFY_SOCKET", &path)
            .stdout(Stdio::null())
            .stderr(log.expect("it can be made"))
            .spawn();
        let mut started = Started(child.expect("it can be run"));
        let start = Instant::now();
        let mut message = [0; 256];
        loop {
            let length = socket.recv(&mut message).unwrap_or(0);
            if message[..length].starts_with(b"READY=1") {
                return started;
            }
            let ended = started.0.try_wait().expect("it can be waited for");
            let in_time = start.elapsed() < Duration::from_secs(60);
            let log = std::fs::read_to_string(self.dir.join(format!("{name}.log")));
            assert!(ended.is_none() && in_time, "{name}: {ended:?} {log:?}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Ended as systemd ends a unit.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).expect("a process number");
        let pid = nix::unistd::Pid::from_raw(pid);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

#[test]
fn a_package_of_ours_is_started_by_the_units_of_microvm_nix() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(&own, "web", WEB);
    let runner = format!("{flake}#nixosConfigurations.web.config.microvm.declaredRunner");
    // What the module evaluates of it.
    let asked = "runner: { inherit (runner) canShutdown supportsNotifySocket tapMultiQueue registerWithMachined hypervisor; id = builtins.isString runner.machineId; }";
    let told = said(own.nix(&["eval", "--json", "--apply", asked, &runner]));
    let told: serde_json::Value = serde_json::from_str(&told).expect("it is JSON");
    let expected = serde_json::json!({
        "canShutdown": true, "supportsNotifySocket": true, "tapMultiQueue": true,
        "registerWithMachined": true, "hypervisor": "qemu", "id": true,
    });
    assert_eq!(told, expected);

    let package = own.path().join("package");
    said(own.nix(&["build", "-o", &package.display().to_string(), &runner]));
    let package = package.canonicalize().expect("it was built");
    let read = |file: &str| {
        let text = std::fs::read_to_string(package.join("share/microvm").join(file));
        text.unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    assert_eq!(read("tap-interfaces"), "vm-web\n");
    assert_eq!(read("tap-flags"), "vnet_hdr\nmulti_queue\n");
    assert_eq!(read("virtiofs/ro-store/source"), "/nix/store\n");
    let socket = read("virtiofs/ro-store/socket");
    assert_eq!(read("hypervisor"), "qemu\n");
    assert!(package.join("share/microvm/system").join("init").exists());

    // install-microvm-NAME and microvm-set-booted@.
    let dir = own.path().join("state/front");
    std::fs::create_dir_all(&dir).expect("it can be made");
    for link in ["current", "booted"] {
        symlink(&package, dir.join(link)).expect("it can be made");
    }
    let world = World::new(dir);
    let has_tap = || {
        let mut show = world.within(&own, "ip");
        words(&run(show.args(["link", "show", "vm-web"]))).contains("vm-web:")
    };
    said(world.unit(&own, "current", "tap-up").expect("it has a tap"));
    assert!(has_tap());
    assert!(world.unit(&own, "current", "macvtap-up").is_none());
    assert!(world.unit(&own, "current", "pci-setup").is_none());
    let shares = world
        .unit(&own, "current", "virtiofsd-run")
        .expect("it has one");
    let shares = world.notifies(shares, "shares");
    assert!(world.dir.join(socket.trim()).exists());

    let vm = world.unit(&own, "current", "microvm-run").expect("it runs");
    let vm = world.notifies(vm, "vm");
    // The name of its directory is that of the VM.
    assert!(world.dir.join("front.lock").exists());
    for program in ["microvm-shutdown", "microvm-register", "microvm-unregister"] {
        assert!(world.unit(&own, "booted", program).is_some(), "{program}");
    }
    drop(vm);
    drop(shares);
    said(
        world
            .unit(&own, "booted", "tap-down")
            .expect("it has a tap"),
    );
    assert!(!has_tap());
}
