//! All that a network could leave behind on a host.

use std::collections::BTreeMap;

use super::World;

/// Interfaces, addresses, rules, settings, processes and files.
pub fn of(world: &World) -> BTreeMap<&'static str, String> {
    let run = "/run/microvm-networks";
    let files = |dir: &str| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| *name != "locks").collect();
        names.sort();
        names.join("\n")
    };
    let own_run = std::path::Path::new(run).join(&world.network);
    BTreeMap::from([
        (
            "interfaces",
            without_counters(&world.done("host", "ip -d -o link")),
        ),
        ("addresses", world.done("host", "ip -o -br addr")),
        ("rules", world.done("host", "nft list ruleset")),
        (
            "settings",
            world.done(
                "host",
                "sysctl -a --pattern ^net\\.ipv[46]\\.(ip_forward|conf)",
            ),
        ),
        ("processes", processes(world)),
        ("files at run time", own_run.exists().to_string()),
        (
            "records",
            files(&format!("{}/.microvm/networks", world.state().display())),
        ),
        (
            "logs",
            files(&format!("{}/.microvm/logs", world.state().display())),
        ),
        (
            "locks",
            files(&format!("{}/.microvm/run", world.state().display())),
        ),
        ("networkd", files("/run/systemd/network")),
        ("NetworkManager", files("/run/NetworkManager/conf.d")),
    ])
}

/// Command lines of what runs in the host's namespace.
fn processes(world: &World) -> String {
    let pids = world.done("host", &format!("ip netns pids {}", world.space("host")));
    let lines = pids.lines().filter_map(|pid| {
        let text = std::fs::read(format!("/proc/{}/cmdline", pid.trim())).ok()?;
        let text = String::from_utf8_lossy(&text).replace('\0', " ");
        (text.contains("dnsmasq") || text.contains("microvm-network")).then_some(text)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Timers and statistics say nothing of what is left.
fn without_counters(text: &str) -> String {
    let fields = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().take(12).collect();
        words.join(" ")
    });
    fields.collect::<Vec<_>>().join("\n")
}
