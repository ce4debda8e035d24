//! Stops: each is the guest's own shutdown, which its journal ends with, and takes seconds.

use std::time::{Duration, Instant};

use harness::{Outcome, check};

use super::boots::All;
use super::{STATE, Vm};

/// How many stops are to be seen; without it each VM is stopped once.
pub const STOPS: &str = "MICROVM_STOPS";

/// Longest that what served a VM may go on after it.
const DAEMONS: Duration = Duration::from_secs(5);

/// Longest that one may take.
const BOUND_MS: u64 = 15_000;

fn wanted(all: &All) -> Outcome<usize> {
    let Some(text) = std::env::var_os(STOPS) else {
        return Ok(all.vms.len());
    };
    let text = text.to_string_lossy();
    let number = text.parse();
    Ok(number.map_err(|_| format!("`{STOPS}` is `{text}`; accepted is a whole number"))?)
}

/// First of those that run; then each is started by itself, for one boots in a tenth of the time of
/// eight.
pub fn each_is_the_guests_own(all: &All) -> Outcome {
    let mut took = [Vec::new(), Vec::new()];
    for (number, vm) in all.vms.iter().cycle().take(wanted(all)?).enumerate() {
        if number >= all.vms.len() {
            all.start(vm)?;
        }
        took[usize::from(vm.shares)].push(stop(all, vm)?);
    }
    let [without, with] = took;
    println!("milliseconds to stop without a share: {without:?}; with one: {with:?}");
    Ok(())
}

/// Gives milliseconds, by the host's clock.
fn stop(all: &All, vm: &Vm) -> Outcome<u64> {
    let name = &vm.name;
    let line = format!(
        "s=$(date +%s%N); {} stop {name} >&2; echo $? $(( ($(date +%s%N) - s) / 1000000 ))",
        all.suite.microvm()
    );
    let said = all.host.run(&line)?;
    let (code, took) = said.split_once(' ').ok_or("two numbers were printed")?;
    let took: u64 = took.parse()?;
    if code != "0" {
        let log = all.log(vm)?;
        return Err(
            format!("the stop of {name} ended with {code}, after {took} ms:\n{log}").into(),
        );
    }
    check!(took <= BOUND_MS, "{name} took {took} ms to stop");
    ends_with_its_shutdown(name, "volume", &all.journal(vm)?)?;
    if vm.shares {
        let shared = all.host.run(&format!("cat {}/journal", vm.share()))?;
        ends_with_its_shutdown(name, "share", &shared)?;
    }
    nothing_is_left(all, name)?;
    Ok(took)
}

/// A guest that the emulation lost booted without stopping; the last boot has to have stopped.
fn ends_with_its_shutdown(name: &str, place: &str, journal: &str) -> Outcome {
    let lines: Vec<&str> = journal.lines().collect();
    check!(
        lines.ends_with(&["booted", "stopped"]),
        "the journal of {name} on its {place} ends without its shutdown:\n{journal}"
    );
    Ok(())
}

/// Neither its daemons nor its tap nor a socket, at most 5 s later.
fn nothing_is_left(all: &All, name: &str) -> Outcome {
    let line = format!(
        "for unit in microvm microvm-virtiofsd microvm-tap-interfaces microvm-set-booted; do \
         systemctl is-active $unit@{name}; done | sort -u; \
         find {STATE}/{name} -type s; ip -o link show vm-{name} 2>/dev/null; true"
    );
    let start = Instant::now();
    loop {
        let left = all.host.run(&line)?;
        if left == "inactive" {
            return Ok(());
        }
        let late = start.elapsed() > DAEMONS;
        check!(!late, "left behind by {name}: {left}");
    }
}
