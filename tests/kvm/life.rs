//! A guest that keeps its volume, stops as it is asked to, and starts again after crashes.

use harness::nested::{By, Place};
use harness::{Nested, Outcome, check};

use crate::definition::Guest;
use crate::hypervisors::Hypervisor;
use crate::suite::{self, Suite};

pub fn everything(suite: &Suite, hypervisor: &Hypervisor) -> Outcome {
    let place = suite.place(hypervisor, Guest::Plain, "life")?;
    let _turn = suite.turn(Guest::Plain);
    suite::prepare(suite.host()?, &place, "true")?;
    first_boot(suite, hypervisor, &place)?;
    hypervisor_killed(suite, &place)?;
    everything_killed(suite, &place)?;
    second_boot(suite, hypervisor, &place)
}

fn first_boot(suite: &Suite, hypervisor: &Hypervisor, place: &Place) -> Outcome {
    let mut guest = suite.start_guest(place, By::Package)?;
    let took = guest.wait_for_ssh()?;
    println!(
        "{}: SSH answered after {} s",
        hypervisor.name,
        took.as_secs()
    );
    suite.same_marker(hypervisor, guest.ssh("make-marker")?)?;
    guest.ssh("echo kept > /var/lib/kept")?;
    stop(suite, hypervisor, &mut guest)
}

/// Asks in the way that the table has for it, and finds the volume clean.
fn stop(suite: &Suite, hypervisor: &Hypervisor, guest: &mut Nested<'_>) -> Outcome {
    if hypervisor.has("graceful stop") {
        guest.program("microvm-shutdown")?;
    } else {
        // The connection may end before the command does.
        let _ = guest.ssh("systemctl poweroff");
    }
    guest.ends()?;
    let state = &guest.place().state;
    suite
        .host()?
        .run(&format!("/usr/sbin/e2fsck -fn {state}/var.img"))?;
    Ok(())
}

/// The hypervisor dies under `microvm run`, which says so and leaves no socket.
fn hypervisor_killed(suite: &Suite, place: &Place) -> Outcome {
    let mut guest = suite.start_guest(place, By::Run)?;
    until_it_runs(&guest)?;
    guest.kill_hypervisor()?;
    let code = guest.exit_code()?;
    let said = guest.console();
    check!(
        code == Some(9),
        "killed with SIGKILL it ended with {code:?}, not with 9:\n{said}"
    );
    check!(
        said.matches("error:").count() == 1 && said.contains("SIGKILL"),
        "not one message that names SIGKILL:\n{said}"
    );
    let left = suite.host()?.run(&format!("ls {}", place.state))?;
    check!(!left.contains(".sock"), "a socket was left behind: {left}");
    Ok(())
}

/// Nothing is left that could tidy up: the next start finds what this one left.
fn everything_killed(suite: &Suite, place: &Place) -> Outcome {
    let mut guest = suite.start_guest(place, By::Package)?;
    until_it_runs(&guest)?;
    guest.kill_all()
}

fn until_it_runs(guest: &Nested<'_>) -> Outcome {
    let start = std::time::Instant::now();
    loop {
        let state = guest.status();
        if matches!(&state, Ok(status) if status["state"] == "running") {
            return Ok(());
        }
        if start.elapsed() > harness::nested::PATIENCE {
            return Err(format!("the guest does not run: {state:?}\n{}", guest.console()).into());
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}

fn second_boot(suite: &Suite, hypervisor: &Hypervisor, place: &Place) -> Outcome {
    let mut guest = suite.start_guest(place, By::Run)?;
    guest.wait_for_ssh()?;
    let kept = guest.ssh("cat /var/lib/kept")?;
    check!(kept == "kept", "the volume has `{kept}`");
    // Boots that were killed before the guest's journal began are not in it.
    let journal = guest.ssh(
        "for boot in $(journalctl --list-boots -o json --no-pager | grep -o '\"boot_id\":\"[^\"]*' | cut -d'\"' -f4); \
         do journalctl --no-pager -o cat _BOOT_ID=$boot | tail -n 3; done",
    )?;
    check!(
        journal.contains("Journal stopped"),
        "no boot's journal ends with its shutdown:\n{journal}"
    );
    stop(suite, hypervisor, &mut guest)
}
