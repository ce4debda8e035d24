use super::*;

fn parse(text: &str, vms: &[(&str, &str)]) -> std::result::Result<Vec<Network>, String> {
    let tables: toml::Table = text.parse().unwrap();
    let vms: Vec<(VmName, String)> = vms
        .iter()
        .map(|(vm, network)| (vm.to_string().try_into().unwrap(), network.to_string()))
        .collect();
    let mut problems = Problems::default();
    let networks = read(&tables, &vms, &mut problems);
    match problems.is_empty() {
        true => Ok(networks),
        false => Err(problems.to_string()),
    }
}

#[test]
fn little_is_enough() {
    let networks = parse(
        "[lan]\naddresses = [\"10.0.0.1/24\", \"fd12:3456:789a::1/64\"]\n",
        &[],
    )
    .unwrap();
    let [lan] = &networks[..] else {
        panic!("one is declared")
    };
    assert!(lan.nat && lan.gateway && lan.router_advertisements && !lan.isolation);
    assert_eq!(lan.taps, Taps::OfAllVms);
    let range = Range {
        first: [10, 0, 0, 192].into(),
        last: [10, 0, 0, 254].into(),
    };
    assert_eq!(lan.dhcp, Dhcp::On { range: Some(range) });
}

#[test]
fn all_that_can_be_said() {
    let text = "[lan]\naddresses = [\"10.0.0.1/24\"]\ndhcp = { range = [\"10.0.0.100\", \"10.0.0.199\"] }\n\
        isolation = true\ntaps = [\"vm-*\"]\n\
        [[lan.leases]]\nmac = \"52:54:00:00:00:09\"\naddress = \"10.0.0.9\"\nname = \"printer\"\n\
        [inner]\naddresses = [\"10.0.1.1/24\", \"2001:db8::1/56\"]\nnat = false\ndhcp = false\n";
    let networks = parse(text, &[("db", "inner")]).unwrap();
    let [inner, lan] = &networks[..] else {
        panic!("two are declared")
    };
    assert!(!inner.nat && !inner.gateway && !inner.router_advertisements);
    assert_eq!(inner.dhcp, Dhcp::Off);
    assert_eq!(inner.taps, Taps::Matching(Vec::new()));
    assert_eq!(inner.vms.len(), 1);
    assert!(lan.isolation);
    assert_eq!(lan.leases.len(), 1);
}

#[rstest::rstest]
#[case::unknown(
    "addresses = [\"10.0.0.1/24\"]\nadresses = []",
    "did you mean `addresses`?"
)]
#[case::nothing("nat = true", "a network needs one")]
#[case::empty("addresses = []", "at least one")]
#[case::cidr(
    "addresses = [\"10.0.0.1\"]",
    "`10.0.0.1`: accepted is an address with its prefix"
)]
#[case::network("addresses = [\"10.0.0.0/24\"]", "one such as `10.0.0.1/24`")]
#[case::broadcast("addresses = [\"10.0.0.255/24\"]", "no address that a host can have")]
#[case::loopback("addresses = [\"127.0.0.1/8\"]", "no address that a host can have")]
#[case::twice(
    "addresses = [\"10.0.0.1/24\", \"10.0.0.9/28\"]",
    "overlaps `10.0.0.1/24`"
)]
#[case::flag(
    "addresses = [\"10.0.0.1/24\"]\nnat = 1",
    "`networks.lan.nat`: accepted are"
)]
#[case::dhcp("addresses = [\"fd12::1/64\"]\ndhcp = true", "needs an IPv4 address")]
#[case::dhcp_word(
    "addresses = [\"10.0.0.1/24\"]\ndhcp = \"on\"",
    "`true`, `false`, and a table"
)]
#[case::dhcp_key(
    "addresses = [\"10.0.0.1/24\"]\ndhcp.rang = []",
    "did you mean `range`?"
)]
#[case::range_outside(
    "addresses = [\"10.0.0.1/24\"]\ndhcp.range = [\"10.0.0.9\", \"10.0.1.9\"]",
    "not inside `10.0.0.0/24`"
)]
#[case::range_order(
    "addresses = [\"10.0.0.1/24\"]\ndhcp.range = [\"10.0.0.9\", \"10.0.0.8\"]",
    "comes after"
)]
#[case::range_words(
    "addresses = [\"10.0.0.1/24\"]\ndhcp.range = [\"a\", \"b\"]",
    "the first and the last"
)]
#[case::ra(
    "addresses = [\"fd12::1/56\"]\nrouterAdvertisements = true",
    "a prefix of 64"
)]
#[case::taps("addresses = [\"10.0.0.1/24\"]\ntaps = [\"vm web\"]", "`vm web`")]
#[case::lease_mac(
    "addresses = [\"10.0.0.1/24\"]\nleases = [{ mac = \"x\", address = \"10.0.0.2\" }]",
    "a unicast MAC address"
)]
#[case::lease_host(
    "addresses = [\"10.0.0.1/24\"]\nleases = [{ mac = \"02:00:00:00:00:01\", address = \"10.0.0.1\" }]",
    "the host's own"
)]
#[case::lease_outside(
    "addresses = [\"10.0.0.1/24\"]\nleases = [{ mac = \"02:00:00:00:00:01\", address = \"10.0.1.1\" }]",
    "no address for a guest"
)]
#[case::lease_needs(
    "addresses = [\"10.0.0.1/24\"]\nleases = [{ mac = \"02:00:00:00:00:01\" }]",
    "leases[0].address`: is needed"
)]
fn what_is_wrong_is_said(#[case] text: &str, #[case] said: &str) {
    let problems = parse(&format!("[lan]\n{text}\n"), &[]).unwrap_err();
    assert!(problems.contains(said), "{problems}");
    assert_eq!(problems.lines().count(), 1, "{problems}");
}

#[rstest::rstest]
#[case(
    "mac = \"02:00:00:00:00:01\", address = \"10.0.0.3\"",
    "the mac `02:00:00:00:00:01`"
)]
#[case(
    "mac = \"02:00:00:00:00:02\", address = \"10.0.0.2\"",
    "the address `10.0.0.2`"
)]
#[case(
    "mac = \"02:00:00:00:00:02\", address = \"10.0.0.3\", name = \"a\"",
    "the name `a`"
)]
fn leases_are_each_their_own(#[case] second: &str, #[case] said: &str) {
    let first = "mac = \"02:00:00:00:00:01\", address = \"10.0.0.2\", name = \"a\"";
    let text =
        format!("[lan]\naddresses = [\"10.0.0.1/24\"]\nleases = [{{ {first} }}, {{ {second} }}]\n");
    let problems = parse(&text, &[]).unwrap_err();
    assert!(problems.contains(said), "{problems}");
}

#[rstest::rstest]
#[case::long("a234567890123456")]
#[case::reserved("default")]
#[case::slash("\"a/b\"")]
fn names_that_are_no_bridges(#[case] name: &str) {
    let problems = parse(&format!("[{name}]\naddresses = [\"10.0.0.1/24\"]\n"), &[]).unwrap_err();
    assert_eq!(problems.lines().count(), 1, "{problems}");
}

#[test]
fn all_is_told_at_once() {
    let text = "[a]\naddresses = [\"10.0.0.1/8\"]\ntaps = [\"vm-*\"]\nisolaton = true\n\
        [b]\naddresses = [\"10.0.1.1/24\"]\ntaps = [\"vm-w*\"]\nnat = \"no\"\n\
        [office]\naddresses = \"10.0.0.1\"\n";
    let problems = parse(text, &[("web", "none"), ("db", "office2")]).unwrap_err();
    let lines: Vec<&str> = problems.lines().collect();
    assert_eq!(
        lines,
        [
            "`networks.a.isolaton`: there is no such key; did you mean `isolation`?",
            "`networks.b.nat`: accepted are `true` and `false`",
            "`networks.office.addresses`: accepted is a list of texts",
            "`vms.web.network`: there is no network `none`",
            "`vms.db.network`: there is no network `office2`; did you mean `office`?",
            "`networks.b.addresses`: `10.0.1.1/24` overlaps `10.0.0.1/8` of `networks.a`",
            "`networks.b.taps`: `vm-w*` and `vm-*` of `networks.a` take the same taps",
        ]
    );
}
