//! A host of microVMs in a microVM, in which everything comes up and goes down again.

use harness::{Fleet, Outcome, check, host};

/// With QEMU and alioth, which every such host has; `microvm run microvm#vm` by hand tries all.
const HYPERVISORS: [&str; 2] = ["qemu", "alioth"];

/// The emulated SVM of QEMU 7.2 now and then crashes the host that uses it.
const ATTEMPTS: u32 = 2;

pub fn answers_and_stops(fleet: &Fleet) -> Outcome {
    let mut attempt = 1;
    let printed = loop {
        let mut microvm = fleet.microvm();
        microvm.args(["run", "microvm#vm", "--", "--smoke", "--hypervisors"]);
        match host::output(microvm.arg(HYPERVISORS.join(","))) {
            Ok(printed) => break printed,
            Err(failure) if attempt == ATTEMPTS => return Err(failure),
            Err(failure) => println!("attempt {attempt} of {ATTEMPTS}: {failure}"),
        }
        attempt += 1;
    };
    println!("{printed}");
    let rows: Vec<Vec<&str>> = printed
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect())
        .collect();
    check!(
        rows.len() == HYPERVISORS.len(),
        "not a row for each:\n{printed}"
    );
    for (row, name) in rows.iter().zip(HYPERVISORS) {
        let sound = row.len() == 5
            && row[0] == name
            && row[1].starts_with("10.0.0.")
            && row[2].parse::<u32>().is_ok_and(|seconds| seconds > 0)
            && row[3].parse::<u32>().is_ok_and(|mib| mib > 0);
        check!(
            sound,
            "the row of {name} is not what it should be:\n{printed}"
        );
    }
    Ok(())
}
