//! A host in a network namespace of its own, guests in others, and one that stands for the
//! outside. What runs in them is the real program, real dnsmasq, nftables and a real DHCP client.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod kills;
pub mod traces;

/// Why these tests cannot run here, where they cannot.
pub fn lacks() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("network namespaces need root".to_owned());
    }
    let missing = ["ip", "dnsmasq", "nft", "busybox"]
        .into_iter()
        .find_map(harness::host::lacks);
    missing.or_else(|| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mvt{}x{number}", std::process::id());
        let can = ip(&["netns", "add", &name]).status.success();
        ip(&["netns", "del", &name]);
        (!can).then(|| "network namespaces cannot be made here".to_owned())
    })
}

fn ip(arguments: &[&str]) -> Output {
    let output = Command::new("ip").args(arguments).output();
    output.expect("`ip` can be run")
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Namespaces and files, gone with the test.
pub struct World {
    directory: TempDir,
    /// What the names of namespaces begin with.
    prefix: String,
    /// The name of its network.
    pub network: String,
}

/// The outside's address, which knows no way to guests.
pub const OUTSIDE: &str = "192.0.2.2";

/// A definition of a VM with one tap, of files that are there.
pub fn vm(name: &str, mac: &str) -> String {
    format!(
        "[vms.{name}]\nautostart = false\n[vms.{name}.config]\nkernel = \"/etc/hostname\"\n\
         initrdPath = \"/etc/hostname\"\n\
         interfaces = [{{ type = \"tap\", id = \"vm-{name}\", mac = \"{mac}\" }}]\n"
    )
}

impl World {
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("{}x{number}", std::process::id());
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::create_dir(directory.path().join("vms")).expect("it can be made");
        let world = Self {
            directory,
            prefix: format!("mvt{unique}"),
            network: format!("n{unique}"),
        };
        world.add("host");
        world.add("outside");
        world.join("up0", "outside", None);
        for line in [
            "ip addr add 192.0.2.1/30 dev up0",
            "ip route add default via 192.0.2.2",
        ] {
            world.done("host", line);
        }
        world.done("outside", "ip addr add 192.0.2.2/30 dev eth0");
        world
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("vms")
    }

    fn space(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn add(&self, name: &str) {
        let space = self.space(name);
        assert!(ip(&["netns", "add", &space]).status.success());
        self.done(name, "ip link set lo up");
    }

    /// A cable from the host to `eth0` of another namespace.
    pub fn join(&self, port: &str, to: &str, mac: Option<&str>) {
        let space = self.space(to);
        self.done(
            "host",
            &format!("ip link add {port} type veth peer name eth0 netns {space}"),
        );
        if let Some(mac) = mac {
            self.done(to, &format!("ip link set eth0 address {mac}"));
        }
        self.done("host", &format!("ip link set {port} up"));
        self.done(to, "ip link set eth0 up");
    }

    /// A namespace that stands for a VM which `vm` has defined, on its network.
    pub fn guest(&self, name: &str, mac: &str) {
        self.add(name);
        self.join(&format!("vm-{name}"), name, Some(mac));
        self.microvm(&format!("network attach {name}"));
    }

    /// Runs a command line in a namespace, word by word.
    pub fn run(&self, space: &str, line: &str) -> Output {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(space)]);
        command
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env("MICROVM_STATE_DIR", self.state())
            .env("MICROVM_STORE", self.path().join("store/entries"))
            .env("MICROVM_CACHE", self.path().join("cache"))
            .env("MICROVM_CONFIG", self.path().join("config"))
            .env("NO_COLOR", "1");
        command.output().expect("`ip` can be run")
    }

    /// The same, where it must succeed; what it printed.
    pub fn done(&self, space: &str, line: &str) -> String {
        let output = self.run(space, line);
        assert!(
            output.status.success(),
            "`{line}` in {space}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The program under test, on the host.
    pub fn microvm(&self, line: &str) -> String {
        self.done("host", &self.program(line))
    }

    pub fn program(&self, line: &str) -> String {
        format!("{} {line}", harness::host::microvm().display())
    }

    /// Applies a configuration in which `@net@` is the network's name.
    pub fn apply(&self, text: &str) -> String {
        self.configure(text);
        self.microvm("apply --config host.toml")
    }

    pub fn configure(&self, text: &str) {
        let file = self.path().join("host.toml");
        std::fs::write(file, text.replace("@net@", &self.network)).expect("it can be written");
    }

    pub fn plan(&self) -> String {
        self.microvm("plan --config host.toml")
    }

    /// Asks for an address as a guest does, and takes it; its IPv4 address.
    pub fn dhcp(&self, guest: &str) -> String {
        let script = self.path().join("udhcpc");
        let text = "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\n\
                    ip addr flush dev eth0 scope global\n\
                    ip addr add \"$ip/$mask\" dev eth0\n\
                    for router in $router; do ip route replace default via \"$router\"; done\n";
        std::fs::write(&script, text).expect("it can be written");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, executable).expect("it can be made executable");
        let script = script.display();
        self.done(
            guest,
            &format!("busybox udhcpc -i eth0 -n -q -f -t 10 -T 1 -s {script}"),
        );
        self.address(guest)
    }

    pub fn address(&self, guest: &str) -> String {
        let shown = self.done(guest, "ip -4 -br addr show eth0");
        let address = shown.split_whitespace().nth(2).unwrap_or_default();
        address.split('/').next().unwrap_or_default().to_owned()
    }

    pub fn reaches(&self, from: &str, address: &str) -> bool {
        let line = format!("busybox ping -c 1 -W 2 {address}");
        self.run(from, &line).status.success()
    }

    /// What a name server says of a name.
    pub fn resolve(&self, from: &str, name: &str, server: &str) -> String {
        let output = self.run(from, &format!("busybox nslookup {name} {server}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn eventually(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < Duration::from_secs(30), "{what}: not so");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A test that failed leaves processes: those of these namespaces alone.
        for name in ip(&["netns", "list"]).stdout.split(|byte| *byte == b'\n') {
            let name = String::from_utf8_lossy(name);
            let name = name.split_whitespace().next().unwrap_or_default();
            if !name.starts_with(&self.prefix) {
                continue;
            }
            let pids = ip(&["netns", "pids", name]).stdout;
            for pid in String::from_utf8_lossy(&pids).lines() {
                let pid = pid.trim().parse().map(nix::unistd::Pid::from_raw);
                let _ =
                    pid.map(|pid| nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL));
            }
            ip(&["netns", "del", name]);
        }
        let _ = std::fs::remove_dir_all(Path::new("/run/microvm-networks").join(&self.network));
    }
}
