//! Boots in a row, none of which hangs.

use harness::nested::By;
use harness::{Outcome, check};

use crate::definition::Guest;
use crate::devices;
use crate::hypervisors::Hypervisor;
use crate::suite::Suite;

/// How many; without it the boots of the other tests are all.
pub const BOOTS: &str = "MICROVM_BOOTS";

fn wanted() -> Outcome<u32> {
    let text = std::env::var(BOOTS)?;
    let number = text.parse();
    Ok(number.map_err(|_| format!("`{BOOTS}` is `{text}`; accepted is a whole number"))?)
}

pub fn in_a_row(suite: &Suite, hypervisor: &Hypervisor) -> Outcome {
    let boots = wanted()?;
    let place = suite.place(hypervisor, Guest::Devices, "boots")?;
    let _turn = suite.turn(Guest::Devices);
    devices::prepare(suite.host()?, &place)?;
    let mut seconds = Vec::new();
    for boot in 1..=boots {
        let mut guest = suite.start_guest(&place, By::Run)?;
        let which = |failure| format!("boot {boot} of {boots}: {failure}");
        seconds.push(guest.wait_for_ssh().map_err(which)?.as_secs());
        let _ = guest.ssh("systemctl reboot");
        guest.ends().map_err(which)?;
    }
    println!("{}: seconds to SSH: {seconds:?}", hypervisor.name);
    check!(seconds.len() == boots as usize, "not all were counted");
    Ok(())
}
