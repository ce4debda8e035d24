//! What is said of definitions that are wrong.

use harness::nix::{Nix, refused, said};

use super::one;

#[test]
fn wrong_options_are_told_with_the_way_out() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let tap = |id: &str, mac: u8| {
        format!("{{ type = \"tap\"; id = \"{id}\"; mac = \"02:00:00:00:00:0{mac}\"; }}")
    };
    let share = "{ tag = \"a\"; source = \"/srv\"; mountPoint = \"/a\"; }";
    let cases: [(&str, String, &[&str]); 11] = [
        ("type", "microvm.mem = \"much\";".to_owned(), &["#web", "`microvm.mem'", "takes a number from 1"]),
        ("unknown", "microvm.memm = 512;".to_owned(), &["#web", "`microvm.memm' does not exist", "did you mean `microvm.mem`?"]),
        ("member", "microvm.volumes = [ { image = \"a\"; mountPoint = \"/a\"; size = 1; fstype = \"xfs\"; } ];".to_owned(), &["#web", "fstype", "did you mean `microvm.volumes.*.fsType`?"]),
        ("value", "microvm.shares = [ { tag = \"a\"; source = \"/srv\"; mountPoint = \"/a\"; proto = \"nfs\"; } ];".to_owned(), &["#web", "proto", "`9p` or `virtiofs`"]),
        ("twice", format!("microvm.interfaces = [ {} {} ];", tap("vm-a", 1), tap("vm-a", 2)), &["MicroVM web", "`vm-a` is there twice in `microvm.interfaces`", "one of its own"]),
        ("firecracker", format!("microvm.hypervisor = \"firecracker\"; microvm.shares = [ {share} ];"), &["MicroVM web", "`microvm.shares[0].proto = \"9p\"`", "firecracker does not have", "`microvm.hypervisor` can be qemu"]),
        ("ports", "microvm.forwardPorts = [ { host.port = 80; guest.port = 80; } ];".to_owned(), &["MicroVM web", "`microvm.forwardPorts` needs", "`microvm.interfaces`"]),
        ("syntax", "microvm.mem = ;".to_owned(), &["syntax error", "at flake.nix:7:"]),
        ("undefined", "microvm.mem = some;".to_owned(), &["undefined variable 'some'", "at flake.nix:7:"]),
        ("absent", "microvm.volumes = [ { image = \"a\"; mountPoint = \"/a\"; } ];".to_owned(), &["#web", "set `microvm.volumes.*.size`: Size in MiB"]),
        ("long", format!("microvm.interfaces = [ {} ];", tap("much-too-long-a-name", 1)), &["MicroVM web", "much-too-long-a-name", "15 at most"]),
    ];
    for (name, module, wanted) in cases {
        let flake = one(&own, name, &module);
        let text = refused(own.microvm(&format!("check {flake}")));
        for part in wanted {
            assert!(text.contains(part), "{name}: no `{part}` in:\n{text}");
        }
        assert!(
            text.lines().count() < 20,
            "{name}: too long to read:\n{text}"
        );
        assert!(
            !text.contains("while evaluating"),
            "{name}: a trace:\n{text}"
        );
    }
}

#[test]
fn what_nix_cannot_tell_is_told_by_the_program() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(
        &own,
        "mac",
        "microvm.interfaces = [ { type = \"tap\"; id = \"vm-a\"; mac = \"nonsense\"; } ];",
    );
    said(own.microvm(&format!("check {flake}")));
    let text = refused(own.microvm(&format!("build {flake}#web --no-link")));
    for part in ["error: VM `web`: `interfaces[0].mac`", "nonsense"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn the_whole_trace_is_shown_on_request() {
    let Some(own) = Nix::new() else { return };
    own.register();
    let flake = one(&own, "wrong", "microvm.mem = \"much\";");
    let text = refused(own.microvm(&format!("build {flake}#web --show-trace")));
    assert!(
        text.contains("while evaluating") || text.contains("while calling"),
        "{text}"
    );
}
