//! Boots in a row, none of which hangs.

use harness::nested::By;
use harness::{Outcome, check};

use crate::definition::Guest;
use crate::hypervisors::Hypervisor;
use crate::suite::Suite;

/// How many; the others' boots of each hypervisor come beside.
const BOOTS: &str = "MICROVM_BOOTS";
const DEFAULT: u32 = 1;

pub fn in_a_row(suite: &Suite, hypervisor: &Hypervisor) -> Outcome {
    let boots = match std::env::var(BOOTS) {
        Ok(text) => text
            .parse()
            .map_err(|_| format!("`{BOOTS}` is `{text}`; accepted is a whole number"))?,
        Err(_) => DEFAULT,
    };
    let place = suite.place(hypervisor, Guest::Devices, "boots")?;
    let _turn = suite.turn(Guest::Devices);
    crate::suite::prepare(suite.host()?, &place, "mkdir -p shared")?;
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
