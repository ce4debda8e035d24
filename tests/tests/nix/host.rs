//! NixOS hosts: what their configuration makes of networks and start options. None is booted.

use std::path::{Path, PathBuf};

use harness::nix::{Nix, refused, said};

/// A flake with a host, whose state is below a directory of the test.
fn host(own: &Nix, module: &str) -> String {
    let state = own.path().join("vms");
    let text = format!(
        r#"{{
  inputs.microvm.url = "microvm";
  inputs.microvm.inputs.nixpkgs.follows = "nixpkgs";
  outputs = {{ self, nixpkgs, microvm }}: {{
    nixosConfigurations.machine = nixpkgs.lib.nixosSystem {{
      system = "x86_64-linux";
      modules = [ microvm.nixosModules.host {{ networking.hostName = "machine"; microvm.stateDir = "{}"; }} ({{ {module} }}) ];
    }};
  }};
}}
"#,
        state.display()
    );
    let file = own.write("machine/flake.nix", &text);
    let flake = file.parent().expect("it has one").display();
    format!("{flake}#nixosConfigurations.machine.config.system.build.etc")
}

/// Where the units of a host were built.
fn units(own: &Nix, module: &str) -> PathBuf {
    let link = own.path().join("etc");
    let flake = host(own, module);
    said(own.nix(&["build", "-o", &link.display().to_string(), &flake]));
    link.join("etc/systemd/system")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Does what a unit starts, where no interface of this machine is.
fn start(own: &Nix, unit: &Path) {
    let text = read(unit);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let words = line.expect("it starts something").split(' ');
    let mut command = own.command("unshare");
    command.arg("--net").args(words);
    said(command);
}

const NETWORKS: &str = r#"
  microvm.networks.virbr0 = {
    addresses = [ "10.0.0.1/24" "fd12:3456:789a::1/64" ];
    dhcp.range = [ "10.0.0.100" "10.0.0.199" ];
    leases = [ { mac = "02:00:00:00:00:09"; address = "10.0.0.50"; name = "printer"; } ];
    isolation = true;
  };
  microvm.networks.lan = { addresses = [ "10.0.1.1/24" ]; dhcp = false; nat = false; taps = [ "lan-*" ]; };
  microvm.vms.web = {
    network = "lan";
    evaluatedConfig.config.microvm = { declaredRunner = "/none"; interfaces = [ ]; };
  };
"#;

/// The same, for a host without Nix.
const DECLARED: &str = r#"
[networks.virbr0]
addresses = ["10.0.0.1/24", "fd12:3456:789a::1/64"]
dhcp = { range = ["10.0.0.100", "10.0.0.199"] }
isolation = true
leases = [{ mac = "02:00:00:00:00:09", address = "10.0.0.50", name = "printer" }]
[networks.lan]
addresses = ["10.0.1.1/24"]
dhcp = false
nat = false
taps = ["lan-*"]
[vms.web]
flake = "./none"
network = "lan"
"#;

#[test]
fn networks_are_those_of_host_toml() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let there = units(&own, NETWORKS);
    let target = read(&there.join("microvm-networks.target.d/overrides.conf"));
    for name in ["virbr0", "lan"] {
        assert!(
            target.contains(&format!("microvm-network@{name}.service")),
            "{target}"
        );
    }
    start(&own, &there.join("install-microvm-networks.service"));
    let config = own.write("host.toml", DECLARED);
    let mut plan = own.microvm("plan --json --config");
    plan.arg(config);
    let planned = harness::nix::run(&mut plan).stdout;
    let steps: serde_json::Value = serde_json::from_slice(&planned).expect("it is JSON");
    let steps: Vec<String> = steps
        .as_array()
        .into_iter()
        .flatten()
        .map(|step| format!("{} {} {}", step["step"], step["name"], step["difference"]))
        .filter(|step| step.contains("network"))
        .collect();
    assert_eq!(
        steps,
        [
            "\"network-up\" \"lan\" null",
            "\"network-up\" \"virbr0\" null"
        ]
    );
}

/// A network that is no longer declared goes, with what was remembered of it.
#[test]
fn networks_go_with_their_declaration() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let recorded = |name: &str| own.path().join("vms/.microvm/networks").join(name).exists();
    let lan = "microvm.networks.lan.addresses = [ \"10.0.1.1/24\" ];";
    start(
        &own,
        &units(&own, lan).join("install-microvm-networks.service"),
    );
    assert!(recorded("lan"));
    start(
        &own,
        &units(&own, "").join("install-microvm-networks.service"),
    );
    assert!(!recorded("lan"));
}

#[test]
fn wrong_networks_are_told_when_they_are_built() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = host(
        &own,
        "microvm.networks.lan.addresses = [ \"10.0.1.1/33\" ]; microvm.vms.web = { network = \"lam\"; evaluatedConfig.config.microvm = { declaredRunner = \"/none\"; interfaces = [ ]; }; };",
    );
    let text = refused(own.nix(&["build", "--no-link", "-L", &flake]));
    for part in [
        "networks.lan.addresses",
        "10.0.1.1/33",
        "`vms.web.network`",
        "did you mean `lan`?",
    ] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn the_units_start_as_the_host_says() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = host(
        &own,
        "microvm.host.startupTimeout = 200; microvm.host.useNotifySockets = true;",
    );
    let link = own.path().join("package");
    let built = flake.replace("build.etc", "build.microvmUnits");
    said(own.nix(&["build", "-o", &link.display().to_string(), &built]));
    let unit = read(&link.join("lib/systemd/system/microvm@.service"));
    assert!(unit.contains("TimeoutStartSec=200\n"), "{unit}");
    assert!(unit.contains("MICROVM_GUEST_SECONDS=200\n"), "{unit}");
}
