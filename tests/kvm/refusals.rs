//! A host on which KVM cannot be used, or without space for volumes: one clear message.

use harness::nested::{By, Place};
use harness::{KvmHost, Nested, Outcome, check};

use crate::definition::Guest;
use crate::hypervisors::Hypervisor;
use crate::suite::Suite;

pub fn everything(suite: &Suite, hypervisor: &Hypervisor) -> Outcome {
    let host = suite.host()?;
    missing(suite, host, hypervisor)?;
    denied(suite, host, hypervisor)?;
    full(suite, host, hypervisor)
}

fn missing(suite: &Suite, host: &KvmHost, hypervisor: &Hypervisor) -> Outcome {
    let mut place = suite.place(hypervisor, Guest::Plain, "missing")?;
    place.properties.push("PrivateDevices=yes".to_owned());
    host.run(&format!("mkdir -p {}", place.state))?;
    says(suite, hypervisor, &place, "/dev/kvm is not there")
}

fn denied(suite: &Suite, host: &KvmHost, hypervisor: &Hypervisor) -> Outcome {
    let mut place = suite.place(hypervisor, Guest::Plain, "denied")?;
    place.properties.push("User=nobody".to_owned());
    place
        .environment
        .push(format!("MICROVM_CACHE={}/cache", place.state));
    let state = &place.state;
    host.run(&format!("mkdir -p {state} && chown nobody {state}"))?;
    says(suite, hypervisor, &place, "/dev/kvm: permission denied")
}

/// What can emulate a processor goes on without KVM, and says that it does.
fn says(suite: &Suite, hypervisor: &Hypervisor, place: &Place, words: &str) -> Outcome {
    let mut guest = suite.start_guest(place, By::Run)?;
    if hypervisor.has("emulation of a processor") {
        return guest.expect(words);
    }
    refused(&mut guest, 5, words)
}

/// The volume does not fit, and its half is removed.
fn full(suite: &Suite, host: &KvmHost, hypervisor: &Hypervisor) -> Outcome {
    let place = suite.place(hypervisor, Guest::Plain, "full")?;
    let state = &place.state;
    host.run(&format!(
        "mkdir -p {state} && mount -t tmpfs -o size=64k full {state}"
    ))?;
    let mut guest = suite.start_guest(&place, By::Run)?;
    let result = refused(&mut guest, 8, "var.img");
    let left = host.run(&format!("find {state} -name '*.img*'; umount {state}"))?;
    check!(left.is_empty(), "left behind: {left}");
    result
}

fn refused(guest: &mut Nested<'_>, expected: i32, words: &str) -> Outcome {
    let code = guest.exit_code()?;
    let said = guest.console();
    check!(
        code == Some(expected),
        "it ended with {code:?}, not with {expected}:\n{said}"
    );
    check!(
        said.matches("error:").count() == 1 && said.contains(words),
        "not one message with `{words}`:\n{said}"
    );
    Ok(())
}
