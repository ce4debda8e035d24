//! `kill -9` of `microvm` at every step of what it does to networks: the next command finishes it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;

use super::{World, traces, vm};
use crate::{LAN, WEB, world};

/// Runs a command line that is killed at a step, counted from 1; says whether it was.
fn killed_at(world: &World, step: u32, line: &str) -> bool {
    let line = format!("env MICROVM_FAULT={step} {}", world.program(line));
    let output = world.run("host", &line);
    let killed = output.status.signal() == Some(9);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(killed || output.status.success(), "`{line}`: {said}");
    killed
}

type State = BTreeMap<&'static str, String>;

/// All traces but the number of the bridge, which each that is made has anew.
fn state(world: &World) -> State {
    let mut state = traces::of(world);
    state.remove("interfaces");
    // Of a bridge without a port that is a moment old.
    let addresses = state["addresses"].replace(" UNKNOWN ", " DOWN    ");
    state.insert("addresses", addresses);
    let mut processes: Vec<&str> = state["processes"].lines().collect();
    processes.sort_unstable();
    let processes = processes.join("\n");
    state.insert("processes", processes);
    let list = world.microvm("network list --json");
    let list: serde_json::Value = serde_json::from_str(&list).expect("it is JSON");
    state.insert("up", format!("{} {}", list[0]["up"], list[0]["taps"]));
    state
}

/// Fails with the lines that differ: there are hundreds.
fn same(expected: &State, found: &State, when: &str) {
    let mut differences = String::new();
    for (what, expected) in expected {
        let found = &found[what];
        let lines = |text: &String| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        let (before, now) = (lines(expected), lines(found));
        for line in before.difference(&now) {
            differences += &format!("{what}: lacks `{line}`\n");
        }
        for line in now.difference(&before) {
            differences += &format!("{what}: has `{line}`\n");
        }
    }
    assert!(differences.is_empty(), "{when}:\n{differences}");
}

/// A command line, with the configuration that it is to find.
struct Way<'a> {
    config: Option<&'a str>,
    line: String,
}

impl Way<'_> {
    fn prepare(&self, world: &World) -> &str {
        if let Some(config) = self.config {
            world.configure(config);
        }
        &self.line
    }
}

/// Between two states: the way there and the way back are killed at each step in turn, and then
/// gone to their end.
fn back_and_forth(world: &World, least: u32, there: &Way, back: &Way) {
    let first = state(world);
    world.microvm(there.prepare(world));
    let second = state(world);
    assert!(first != second, "`{}` changes nothing", there.line);
    world.microvm(back.prepare(world));
    same(&first, &state(world), &back.line);
    for step in 1.. {
        let mut killed = false;
        for (way, expected) in [(there, &second), (back, &first)] {
            killed |= killed_at(world, step, way.prepare(world));
            world.microvm(&way.line);
            let when = format!("`{}`, killed at step {step}", way.line);
            same(expected, &state(world), &when);
        }
        if !killed {
            assert!(step > least, "there are {} steps", step - 1);
            return;
        }
    }
}

fn apply(config: &str) -> Way<'_> {
    Way {
        config: Some(config),
        line: "apply --config host.toml".to_owned(),
    }
}

#[test]
fn up_and_down_that_are_killed_are_finished_by_the_next() {
    let Some(world) = world("up_and_down_that_are_killed_are_finished_by_the_next") else {
        return;
    };
    world.apply(&format!("{}{LAN}", vm("web", WEB)));
    // What others have set.
    world.done("host", "sysctl -qw net.ipv4.conf.up0.forwarding=1");
    let verb = |verb: &str| Way {
        config: None,
        line: format!("network {verb} {}", world.network),
    };
    back_and_forth(&world, 10, &verb("down"), &verb("up"));
}

#[test]
fn an_apply_that_is_killed_makes_changes_and_removes_whole_networks() {
    let Some(world) = world("an_apply_that_is_killed_makes_changes_and_removes_whole_networks")
    else {
        return;
    };
    world.done("host", "sysctl -qw net.ipv4.conf.up0.forwarding=1");
    world.apply("");
    back_and_forth(&world, 14, &apply(LAN), &apply(""));
    let changed = format!("{LAN}nat = false\nisolation = true\n");
    world.apply(LAN);
    back_and_forth(&world, 8, &apply(&changed), &apply(LAN));
}
