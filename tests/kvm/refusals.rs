//! A host on which KVM cannot be used: one clear message.

use harness::nested::{By, Place};
use harness::{KvmHost, Outcome, check};

use crate::definition::Guest;
use crate::hypervisors::Hypervisor;
use crate::suite::Suite;

pub fn everything(suite: &Suite, hypervisor: &Hypervisor) -> Outcome {
    let host = suite.host()?;
    missing(suite, host, hypervisor)?;
    denied(suite, host, hypervisor)
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
    let code = guest.exit_code()?;
    let said = guest.console();
    check!(
        code == Some(5),
        "without KVM it ended with {code:?}, not with 5:\n{said}"
    );
    check!(
        said.matches("error:").count() == 1 && said.contains(words),
        "not one message with `{words}`:\n{said}"
    );
    Ok(())
}
