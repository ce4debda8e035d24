//! Guests that boot, emulated, off a store disk or the host's store.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use harness::nix::{Nix, Running, run, said, words};

use super::{nix, one};

/// An emulated guest, with a builder or two beside it.
const BOOT: Duration = Duration::from_secs(240);

#[test]
fn checks_boot_guests() {
    let Some(own) = Nix::new() else { return };
    said(nix(&own, &["flake", "check", &own.flake()], own.nixpkgs()));
}

#[test]
fn the_template_runs_unchanged() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let directory = own.path().join("mine");
    std::fs::create_dir(&directory).expect("it can be made");
    let mut init = own.nix(&["flake", "init", "-t", "microvm"]);
    init.current_dir(&directory);
    said(init);
    let mut start = own.nix(&["run", ".#my-microvm"]);
    start
        .current_dir(&directory)
        .env("MICROVM_CACHE", own.path().join("cache"));
    Running::start(start).says("my-microvm is up", BOOT);
}

#[test]
fn a_name_of_the_registry_runs() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let state = own.path().join("state");
    std::fs::create_dir(&state).expect("it can be made");
    let mut start = nix(&own, &["run", "microvm#qemu-example"], own.nixpkgs());
    start
        .current_dir(&state)
        .env("MICROVM_CACHE", own.path().join("cache"));
    Running::start(start).says("qemu-microvm is up", BOOT);
}

/// The host's store over virtiofs, and of it what is the guest's.
const NARROW: &str = r#"
  microvm.cpu = "max";
  microvm.shares = [ { proto = "virtiofs"; tag = "ro-store"; source = "/nix/store"; mountPoint = "/nix/.ro-store"; } ];
  microvm.guest.storeClosure = config.system.build.microvmClosure;
  systemd.services.say = {
    wantedBy = [ "multi-user.target" ];
    serviceConfig.Type = "oneshot";
    script = ''
      echo "seen are $(ls /nix/store | wc -l) of $(ls /nix/store | grep -c -e linux- -e qemu)" > /dev/console
      touch /nix/store/new 2>/dev/null || echo "the store is read-only" > /dev/console
      poweroff -f
    '';
  };
"#;

#[test]
fn a_shared_store_shows_the_closure_alone() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(&own, "narrow", NARROW);
    let list = format!("{flake}#nixosConfigurations.web.config.system.build.microvmClosure");
    let list = said(own.nix(&["eval", "--raw", &list]));
    let state = own.path().join("state");
    std::fs::create_dir(&state).expect("it can be made");
    let line = format!("run {flake}#web --state-dir {}", state.display());
    let text = words(&run(&mut own.microvm(&line)));
    let count = std::fs::read_to_string(list)
        .expect("it was built")
        .lines()
        .count();
    assert!(
        text.contains(&format!("seen are {count} of 0")),
        "not {count}:\n{text}"
    );
    assert!(text.contains("the store is read-only"), "{text}");
}

/// A guest that calls itself otherwise than its configuration is called.
const NAMED: &str = r#"
  networking.hostName = lib.mkForce "front";
  microvm.cpu = "max";
  microvm.shares = [ { tag = "ro-store"; source = "/nix/store"; mountPoint = "/nix/.ro-store"; } ];
"#;

#[test]
fn a_vm_has_the_name_of_its_configuration() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(&own, "named", NAMED);
    said(own.microvm(&format!("check {flake}")));
    said(own.microvm(&format!("create web -f {flake}")));
    said(own.microvm("start web"));
    let dir = own.path().join("vms/web");
    assert!(dir.join("web.lock").exists());
    let pid = std::fs::read_to_string(dir.join("web.lock")).expect("it is there");
    let pid = pid.lines().next().expect("it names its process");
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).expect("it runs");
    assert!(line.starts_with(b"microvm@web\0"), "{line:?}");
    let start = std::time::Instant::now();
    while !said(own.microvm("logs web")).contains("front is up") {
        assert!(start.elapsed() < BOOT, "{}", said(own.microvm("logs web")));
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(said(own.microvm("status web")).contains("running"));
    // The package's own programs know it too, whoever calls them there.
    let mut status = own.command(dir.join("current/bin/microvm-status"));
    status.current_dir(&dir);
    assert!(said(status).contains("web"));
    // The guest has no init that hears of a power button.
    run(own.microvm("stop web").env("MICROVM_SHUTDOWN_TIMEOUT", "1"));
    said(own.microvm("remove --yes web"));
}

/// A guest for a hypervisor without a power button, whose channel QEMU has here.
const ASKED: &str = r#"
  microvm.hypervisor = "stratovirt";
  microvm.vcpu = 1;
  microvm.cpu = "max";
  microvm.qemu.extraArgs = [
    "-device" "virtio-serial-device"
    "-chardev" "socket,id=agent,path=agent.sock,server=on,wait=off"
    "-device" "virtserialport,chardev=agent,name=org.microvm.agent"
  ];
"#;

#[test]
fn a_guest_powers_off_when_its_agent_is_asked() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(&own, "asked", ASKED);
    let runner = own.path().join("runner");
    let qemu = format!("{flake}#nixosConfigurations.web.config.microvm.runner.qemu");
    said(own.nix(&["build", "-o", &runner.display().to_string(), &qemu]));
    let state = own.path().join("state");
    std::fs::create_dir(&state).expect("it can be made");
    let mut start = own.command(runner.join("bin/microvm-run"));
    start
        .current_dir(&state)
        .env("MICROVM_CACHE", own.path().join("cache"));
    let mut running = Running::start(start);
    running.says("web is up", BOOT);
    let mut agent = std::os::unix::net::UnixStream::connect(state.join("agent.sock"))
        .expect("QEMU listens there");
    agent
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("it can be set");
    let mut answers = BufReader::new(agent.try_clone().expect("it can be cloned")).lines();
    for (request, expected) in [("ping", "pong"), ("poweroff", "ok")] {
        writeln!(agent, "{request}").expect("it can be asked");
        let answer = answers.next().expect("it answers");
        assert_eq!(answer.expect("in time"), expected);
    }
    running.ends(BOOT);
}

/// The database of a writable store outlives its guest.
const KEEPER: &str = r#"
  microvm.writableStoreOverlay = "/nix/.rw-store";
  microvm.cpu = "max";
  microvm.volumes = [ { image = "rw-store.img"; mountPoint = "/nix/.rw-store"; size = 128; } ];
  systemd.services.say = {
    wantedBy = [ "multi-user.target" ];
    serviceConfig.Type = "oneshot";
    script = ''
      exec > /dev/console 2>&1
      store=${config.nix.package}/bin/nix-store
      $store --check-validity ${pkgs.busybox} && echo "the system is registered"
      if test -e /nix/.rw-store/added; then
        $store --check-validity $(cat /nix/.rw-store/added) && echo "what was added is registered still"
      else
        $store --add /etc/hostname > /nix/.rw-store/added && echo "added to the store"
      fi
      sync
      poweroff -f
    '';
  };
"#;

#[test]
fn a_writable_store_keeps_its_database() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(&own, "keeper", KEEPER);
    let state = own.path().join("state");
    std::fs::create_dir(&state).expect("it can be made");
    let boot = || {
        let output =
            run(&mut own.microvm(&format!("run {flake}#web --state-dir {}", state.display())));
        words(&output)
    };
    for wanted in ["added to the store", "what was added is registered still"] {
        let text = boot();
        assert!(text.contains(wanted), "no `{wanted}` in:\n{text}");
        assert!(text.contains("the system is registered"), "{text}");
    }
}
