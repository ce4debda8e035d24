//! VMs as services of systemd on a network of the host: order, addresses, names, the way out.

use std::time::{Duration, Instant};

use harness::nested::PATIENCE;
use harness::{KvmHost, Outcome, check};

use crate::definition::{self, More};
use crate::services::{self, OUTSIDE};
use crate::suite::Suite;

/// Names, and how their MAC addresses end.
const GUESTS: [(&str, &str); 2] = [("web", "0a"), ("db", "0b")];

/// How often a guest is started that the emulated SVM loses.
const ATTEMPTS: u32 = 3;

/// The state directory of `microvm` there.
const STATE: &str = "/var/lib/microvms";

/// Guests ask for names as any guest does, unlike the suite's others.
fn definitions() -> String {
    let one = |(name, number)| {
        definition::filled("qemu", name, number, &More::default())
            .replace(" systemd-resolved.service", "")
    };
    GUESTS.into_iter().map(one).collect()
}

pub fn everything(suite: &Suite) -> Outcome {
    let host = suite.host()?;
    let _alone = suite.alone();
    let names = GUESTS.map(|(name, _)| name);
    let packages = suite.packages("network", &definitions(), &names)?;
    let before = traces(host)?;
    services::install(suite, host)?;
    services::see_tmp(host, "/run/systemd/system")?;
    services::outside(host)?;
    declare(host, &packages)?;
    host.run(&format!("{} apply", suite.microvm()))?;
    let again = host.run(&format!("{} apply", suite.microvm()))?;
    check!(again.contains("nothing to do"), "applied twice: {again}");
    unmanaged(host)?;
    host.run(&format!("{} start web db", suite.microvm()))?;
    in_order(host)?;
    reachable(suite, host)?;
    as_after_a_start(suite, host)?;
    stop(suite, host)?;
    host.run(": > /etc/microvm/host.toml")?;
    host.run(&format!("{} apply", suite.microvm()))?;
    host.run(&format!("{} host uninstall", suite.microvm()))?;
    let after = traces(host)?;
    check!(before == after, "left behind:\n{after}\nbefore:\n{before}");
    Ok(())
}

fn declare(host: &KvmHost, packages: &[String]) -> Outcome {
    let mut text = "[networks.lan]\naddresses = [\"10.76.0.1/24\", \"fd76::1/64\"]\n".to_owned();
    for ((name, _), package) in GUESTS.into_iter().zip(packages) {
        text += &format!("[vms.{name}]\nflake = \"{package}\"\nautostart = false\n");
    }
    services::declare(host, &text)
}

/// This host has files of its own by which networkd would take the taps.
fn unmanaged(host: &KvmHost) -> Outcome {
    let shown = host.run("networkctl --no-pager --no-legend list lan")?;
    check!(
        shown.contains("unmanaged"),
        "networkd manages the bridge: {shown}"
    );
    let asked = host.run("resolvectl dns lan; resolvectl domain lan")?;
    check!(
        asked.contains("10.76.0.1") && asked.contains("~microvm"),
        "systemd-resolved was not told: {asked}"
    );
    Ok(())
}

/// The network, what serves it, the taps, the VM.
fn in_order(host: &KvmHost) -> Outcome {
    let when = |unit: &str, property: &str| -> Outcome<u64> {
        let line = format!("systemctl show --value --property={property} {unit}");
        Ok(host.run(&line)?.trim().parse()?)
    };
    let served = when("microvm-dnsmasq@lan", "ActiveEnterTimestampMonotonic")?;
    let network = when("microvm-network@lan", "ActiveEnterTimestampMonotonic")?;
    let all = when("microvm-networks.target", "ActiveEnterTimestampMonotonic")?;
    check!(
        network <= served && served <= all,
        "{network} {served} {all}"
    );
    for (name, _) in GUESTS {
        let unit = format!("microvm-tap-interfaces@{name}");
        let taps = when(&unit, "InactiveExitTimestampMonotonic")?;
        let up = when(&unit, "ActiveEnterTimestampMonotonic")?;
        let vm = when(&format!("microvm@{name}"), "InactiveExitTimestampMonotonic")?;
        check!(all <= taps && up <= vm, "{name}: {all} {taps} {up} {vm}");
        let tap = host.run(&format!("ip -o link show vm-{name}"))?;
        check!(tap.contains("master lan"), "it is not on the bridge: {tap}");
    }
    Ok(())
}

fn reachable(suite: &Suite, host: &KvmHost) -> Outcome {
    let microvm = suite.microvm();
    let rows = host.run(&format!("{microvm} network leases --json"))?;
    let rows: serde_json::Value = serde_json::from_str(&rows)?;
    for (name, _) in GUESTS {
        let mut rows = rows.as_array().into_iter().flatten();
        let row = rows
            .find(|row| row["vm"] == name)
            .ok_or("it has no lease")?;
        let address = row["address"].as_str().ok_or("it has no address")?;
        by_name(suite, host, name)?;
        let named = host.run(&format!("getent ahostsv4 {name}.microvm"))?;
        check!(
            named.starts_with(address),
            "{name} is {address}, and not {named}"
        );
        let own = inside(suite, host, name, "ip -4 -br addr")?;
        check!(
            own.contains(address),
            "{name} should have {address}, and has {own}"
        );
    }
    let other = inside(suite, host, "web", "getent ahostsv4 db.microvm")?;
    check!(other.contains("10.76.0."), "web does not find db: {other}");
    let banner = inside(
        suite,
        host,
        "web",
        "socat -u TCP:db.microvm:22 - | head -c 4",
    )?;
    check!(banner == "SSH-", "web does not reach db: {banner}");
    let seen = inside(suite, host, "web", &format!("socat -u TCP:{OUTSIDE}:7 -"))?;
    check!(seen == "192.0.2.1", "outside sees {seen}, and not the host");
    Ok(())
}

/// Runs a command line in a guest, by `microvm ssh`, which has the address from the network.
fn inside(suite: &Suite, host: &KvmHost, name: &str, line: &str) -> Outcome<String> {
    host.run(&format!("{} ssh {name} -- '{line}'", suite.microvm()))
}

/// SSH to the name, as soon as the guest is there.
fn by_name(suite: &Suite, host: &KvmHost, name: &str) -> Outcome {
    let start = Instant::now();
    let mut attempt = 1;
    while !greets(host, name) {
        let runs = host.run(&format!("systemctl is-active --quiet microvm@{name}"));
        if runs.is_err() && attempt < ATTEMPTS {
            attempt += 1;
            println!("{name} ended; attempt {attempt} of {ATTEMPTS}");
            host.run(&format!("{} start {name}", suite.microvm()))?;
        } else if runs.is_err() || start.elapsed() > PATIENCE {
            let log = host.run(&format!("{} logs {name} -n 30", suite.microvm()))?;
            return Err(format!("`{name}.microvm` does not answer:\n{log}").into());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    println!("{name}: {} s to SSH by name", start.elapsed().as_secs());
    Ok(())
}

fn greets(host: &KvmHost, name: &str) -> bool {
    let line = format!("timeout 5 socat -u TCP:{name}.microvm:22 - | head -c 4");
    host.run(&line).is_ok_and(|greeting| greeting == "SSH-")
}

/// One that the emulation has slowed too much is ended, which is not what is tried here.
fn stop(suite: &Suite, host: &KvmHost) -> Outcome {
    host.run(&format!("{} stop web db || [ $? = 10 ]", suite.microvm()))?;
    Ok(())
}

/// What the host's start does, where nothing is up yet and all is asked for at once.
fn as_after_a_start(suite: &Suite, host: &KvmHost) -> Outcome {
    stop(suite, host)?;
    host.run("systemctl stop microvm-networks.target microvm-network@lan microvm-dnsmasq@lan")?;
    let left = host.run("ip -o link; nft list ruleset; ls /run")?;
    check!(
        !left.contains("lan:") && !left.contains("microvm-networks"),
        "not down: {left}"
    );
    host.run("systemctl start microvm@web microvm@db microvm-networks.target")?;
    in_order(host)?;
    Ok(())
}

/// What a host with a network has, and one without does not.
fn traces(host: &KvmHost) -> Outcome<String> {
    host.run(&format!(
        "ip -o -br link | grep -v '^up0' | cut -d' ' -f1; nft list ruleset; \
         find /run/systemd/network /etc/systemd/system {STATE}/.microvm/networks -mindepth 1 \
             -maxdepth 1 2>/dev/null | sort; \
         sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding; pgrep -c dnsmasq; true"
    ))
}
