//! Twenty boots, none of which hangs.

use std::time::Duration;

use harness::{Fleet, Outcome, check};

pub fn a(fleet: &Fleet) -> Outcome {
    ten(fleet, "again-a")
}

pub fn b(fleet: &Fleet) -> Outcome {
    ten(fleet, "again-b")
}

fn ten(fleet: &Fleet, name: &str) -> Outcome {
    fleet.build(name)?;
    for turn in 1..=10 {
        let mut guest = fleet.run(name)?;
        guest
            .wait_for_ssh()
            .map_err(|failure| format!("boot {turn} of 10: {failure}"))?;
        guest.signal(nix::sys::signal::Signal::SIGTERM)?;
        let status = guest.wait(Duration::from_secs(240))?;
        check!(
            status.success(),
            "boot {turn} of 10 ended with {status}:\n{}",
            guest.tail()
        );
    }
    Ok(())
}
