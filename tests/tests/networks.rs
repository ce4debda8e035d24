//! Networks of a host's VMs, for real: in network namespaces, with real clients.

mod networked;

use networked::{OUTSIDE, World, traces, vm};

/// Addresses that a network of VMs has, and an IPv6 one beside it.
const LAN: &str = "[networks.@net@]\naddresses = [\"10.77.0.1/24\", \"fd77:1:2:3::1/64\"]\n";

const WEB: &str = "02:00:00:77:00:01";
const DB: &str = "02:00:00:77:00:02";

/// A world, or nothing where there can be none.
fn world(test: &str) -> Option<World> {
    match networked::lacks() {
        Some(why) => {
            println!("skipped: {test}: {why}");
            None
        }
        None => Some(World::new()),
    }
}

#[test]
fn guests_get_their_addresses_and_names_and_a_way_out() {
    let Some(world) = world("guests_get_their_addresses_and_names_and_a_way_out") else {
        return;
    };
    let config = format!(
        "{}{}{LAN}[[networks.@net@.leases]]\nmac = \"{DB}\"\naddress = \"10.77.0.50\"\nname = \"mail\"\n",
        vm("web", WEB),
        vm("db", DB)
    );
    let said = world.apply(&config);
    assert!(
        said.contains("make, with 10.77.0.1/24 and fd77:1:2:3::1/64"),
        "{said}"
    );
    assert!(world.plan().contains("nothing to do"), "{}", world.plan());
    assert!(world.apply(&config).contains("nothing to do"));

    world.guest("web", WEB);
    world.guest("db", DB);
    let web = world.dhcp("web");
    assert_eq!(world.dhcp("db"), "10.77.0.50");
    let leases = world.microvm("network leases --json");
    let leases: serde_json::Value = serde_json::from_str(&leases).expect("it is JSON");
    let of_web = leases
        .as_array()
        .into_iter()
        .flatten()
        .find(|row| row["vm"] == "web");
    let of_web = of_web.expect("its lease is listed");
    assert_eq!(
        (&of_web["address"], &of_web["held"]),
        (&web.as_str().into(), &true.into())
    );
    assert_eq!(of_web["name"], "web.microvm");

    // Names: from the host, from a guest, and none of what is not there.
    for (from, name, address) in [
        ("host", "web.microvm", &*web),
        ("db", "web.microvm", &web),
        ("web", "mail.microvm", "10.77.0.50"),
        ("web", "db.microvm", "10.77.0.50"),
    ] {
        let said = world.resolve(from, name, "10.77.0.1");
        assert!(said.contains(address), "{name} from {from}: {said}");
    }
    assert!(
        !world
            .run("web", "busybox nslookup absent.microvm 10.77.0.1")
            .status
            .success()
    );

    // Each other, the outside through NAT, and nobody from outside.
    assert!(world.reaches("web", "10.77.0.50"));
    assert!(world.reaches("web", OUTSIDE));
    world.done("outside", "ip route add 10.77.0.0/24 via 192.0.2.1");
    assert!(
        !world.reaches("outside", &web),
        "a guest is reached from outside"
    );
    assert!(world.reaches("host", &web));

    // IPv6 from the router's advertisements, by the guest's own kernel.
    world.eventually("an address of IPv6", || {
        world
            .done("web", "ip -6 addr show dev eth0")
            .contains("fd77:1:2:3:")
    });
    assert!(
        world
            .done("web", "ip -6 route")
            .contains("default via fe80:")
    );
    assert!(world.reaches("web", "fd77:1:2:3::1"));
}

#[test]
fn addresses_stay_whatever_comes_and_goes() {
    let Some(world) = world("addresses_stay_whatever_comes_and_goes") else {
        return;
    };
    let both = format!("{}{}{LAN}", vm("web", WEB), vm("db", DB));
    world.apply(&both);
    let address = |vm: &str| {
        let rows = world.microvm("network leases --json");
        let rows: serde_json::Value = serde_json::from_str(&rows).expect("it is JSON");
        let rows = rows.as_array().cloned().unwrap_or_default();
        let row = rows.iter().find(|row| row["vm"] == vm);
        row.map(|row| row["address"].as_str().unwrap_or_default().to_owned())
    };
    let (web, db) = (address("web"), address("db"));
    assert!(web.is_some() && web != db);
    // One goes, and another comes whose MAC address leads to its place.
    world.apply(&format!("{}{LAN}", vm("db", DB)));
    assert_eq!((address("web"), address("db")), (None, db.clone()));
    world.apply(&format!(
        "{}{}{LAN}",
        vm("new", "02:00:00:77:00:c0"),
        vm("db", DB)
    ));
    world.apply(&both);
    assert_eq!((address("web"), address("db")), (web.clone(), db));
    // The network goes down and comes up, and the guest is given the same.
    world.microvm(&format!("network down {}", world.network));
    assert!(world.plan().contains("bring up"), "{}", world.plan());
    world.guest("web", WEB);
    assert!(world.plan().contains("nothing to do"), "{}", world.plan());
    assert_eq!(Some(world.dhcp("web")), web);
}

#[test]
fn isolated_guests_reach_the_host_and_not_each_other() {
    let Some(world) = world("isolated_guests_reach_the_host_and_not_each_other") else {
        return;
    };
    let vms = format!("{}{}", vm("web", WEB), vm("db", DB));
    world.apply(&format!("{vms}{LAN}"));
    world.guest("web", WEB);
    world.guest("db", DB);
    let (_, db) = (world.dhcp("web"), world.dhcp("db"));
    assert!(world.reaches("web", &db));
    let said = world.apply(&format!("{vms}{LAN}isolation = true\n"));
    assert!(said.contains("isolation: false -> true"), "{said}");
    world.microvm("network attach web");
    world.microvm("network attach db");
    assert!(!world.reaches("web", &db));
    assert!(world.reaches("web", "10.77.0.1") && world.reaches("web", OUTSIDE));
    world.apply(&format!("{vms}{LAN}"));
    world.microvm("network attach web");
    assert!(world.reaches("web", &db));
}

#[test]
fn nothing_is_left_of_a_network_that_is_no_longer_declared() {
    let Some(world) = world("nothing_is_left_of_a_network_that_is_no_longer_declared") else {
        return;
    };
    // What others have set must stay as it is.
    world.done("host", "nft add table inet theirs");
    world.done("host", "sysctl -qw net.ipv4.conf.up0.forwarding=1");
    world.apply("");
    let before = traces::of(&world);
    world.apply(LAN);
    let during = traces::of(&world);
    for what in [
        "interfaces",
        "addresses",
        "rules",
        "settings",
        "processes",
        "records",
    ] {
        assert_ne!(before[what], during[what], "a network has no {what}");
    }
    world.apply("");
    assert_eq!(traces::of(&world), before);
    // The same by what removes all of a host, away from this machine's own units.
    world.apply(LAN);
    let mut uninstall = "mount -t tmpfs none /etc/systemd".to_owned();
    for dir in ["/etc/sysusers.d", "/etc/modules-load.d"] {
        uninstall += &format!(" && if [ -d {dir} ]; then mount -t tmpfs none {dir}; fi");
    }
    let script = world.path().join("uninstall");
    let text = format!("{uninstall} && exec {}\n", world.program("host uninstall"));
    std::fs::write(&script, text).expect("it can be written");
    world.done("host", &format!("unshare -m sh {}", script.display()));
    assert_eq!(traces::of(&world), before);
}

#[test]
fn names_are_served_again_when_dnsmasq_or_its_keeper_is_killed() {
    let Some(world) = world("names_are_served_again_when_dnsmasq_or_its_keeper_is_killed") else {
        return;
    };
    world.apply(&format!("{}{LAN}", vm("web", WEB)));
    let serves = || {
        world
            .resolve("host", "web.microvm", "10.77.0.1")
            .contains("10.77.0.")
    };
    let pid = || {
        let file = format!("/run/microvm-networks/{}/pid", world.network);
        std::fs::read_to_string(file)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let first = pid();
    world.done("host", &format!("kill -9 {first}"));
    world.eventually("another serves", || pid() != first && serves());
    // Without its keeper it goes on, and `up` gives it another.
    let lock = format!(
        "{}/.microvm/run/{}:network.lock",
        world.state().display(),
        world.network
    );
    let keeper = std::fs::read_to_string(&lock).expect("it has a keeper");
    world.done("host", &format!("kill -9 {}", keeper.trim()));
    assert!(serves());
    world.microvm(&format!("network up {}", world.network));
    let second = pid();
    world.done("host", &format!("kill -9 {second}"));
    world.eventually("another serves", || pid() != second && serves());
}

#[test]
fn a_tap_comes_onto_its_network_of_itself() {
    let Some(world) = world("a_tap_comes_onto_its_network_of_itself") else {
        return;
    };
    if !std::path::Path::new("/dev/net/tun").exists() {
        println!("skipped: a_tap_comes_onto_its_network_of_itself: there is no /dev/net/tun");
        return;
    }
    world.apply(&format!("{}{LAN}", vm("web", WEB)));
    let bridge = || world.done("host", "ip -o link show vm-web");
    let tap_up = world.state().join("web/current/bin/tap-up");
    let is_on = || bridge().contains(&format!("master {}", world.network));
    world.done("host", &tap_up.display().to_string());
    assert!(is_on(), "{}", bridge());
    // A network that comes later finds it too.
    world.microvm(&format!("network down {}", world.network));
    assert!(!is_on());
    world.microvm(&format!("network up {}", world.network));
    assert!(is_on());
    // One that somebody has put elsewhere stays there.
    world.done("host", "ip link add theirs type bridge");
    world.done("host", "ip link set vm-web master theirs");
    let said = world.run("host", &world.program("network attach web"));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("but on `theirs` already"), "{said}");
    assert!(bridge().contains("master theirs"));
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let Some(world) = world("what_is_not_ours_is_left_alone") else {
        return;
    };
    world.done(
        "host",
        &format!("ip link add {} type bridge", world.network),
    );
    let before = world.done("host", "ip -o -br link");
    std::fs::write(
        world.path().join("host.toml"),
        LAN.replace("@net@", &world.network),
    )
    .expect("it can be written");
    let output = world.run("host", &world.program("apply --config host.toml"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("give the network another name"), "{said}");
    assert_eq!(world.done("host", "ip -o -br link"), before);
    world.apply("");
    assert_eq!(world.done("host", "ip -o -br link"), before);
}

#[test]
fn another_server_in_the_way_is_named() {
    let Some(world) = world("another_server_in_the_way_is_named") else {
        return;
    };
    // It binds every address there will be, as a resolver that is not told otherwise.
    world.done(
        "host",
        "dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --pid-file= --user=root",
    );
    std::fs::write(
        world.path().join("host.toml"),
        LAN.replace("@net@", &world.network),
    )
    .expect("it can be written");
    let output = world.run("host", &world.program("apply --config host.toml"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("in use"),
        "{said}"
    );
}
