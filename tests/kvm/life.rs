//! A guest that keeps its volume, stops as it is asked to, and starts again after crashes.

use std::time::{Duration, Instant};

use harness::nested::{By, PATIENCE, Place};
use harness::{KvmHost, Nested, Outcome, check};

use crate::definition::Guest;
use crate::hypervisors::Hypervisor;
use crate::suite::{self, Suite};

pub fn everything(suite: &Suite, hypervisor: &Hypervisor) -> Outcome {
    let place = suite.place(hypervisor, Guest::Plain, "life")?;
    let _turn = suite.turn(Guest::Plain);
    suite::prepare(suite.host()?, &place, "true")?;
    stopped(suite, hypervisor, &place)?;
    hypervisor_killed(suite, &place)?;
    everything_killed(suite, &place)?;
    started_again(suite, &place)
}

fn stopped(suite: &Suite, hypervisor: &Hypervisor, place: &Place) -> Outcome {
    let (mut guest, took) = suite.boot(place, By::Package)?;
    println!("{}: {} s to SSH", hypervisor.name, took.as_secs());
    suite.same_marker(hypervisor, guest.ssh("make-marker")?)?;
    guest.ssh("echo kept > /var/lib/kept")?;
    stop(suite.host()?, hypervisor, &mut guest)
}

/// Asks in the way that the table has for it, and finds the volume clean.
fn stop(host: &KvmHost, hypervisor: &Hypervisor, guest: &mut Nested<'_>) -> Outcome {
    if hypervisor.has("graceful stop") {
        guest.program("microvm-shutdown")?;
    } else {
        // The connection may end before the command does.
        let _ = guest.ssh("systemctl poweroff");
    }
    guest.ends()?;
    is_clean(host, guest.place())
}

/// Under `microvm run`, which says so and leaves no socket.
fn hypervisor_killed(suite: &Suite, place: &Place) -> Outcome {
    let (mut guest, _) = suite.boot(place, By::Run)?;
    kept(&guest)?;
    journal_ends_with_a_shutdown(&guest)?;
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
    suite::no_socket_is_left(suite.host()?, place)
}

fn kept(guest: &Nested<'_>) -> Outcome {
    let kept = guest.ssh("cat /var/lib/kept")?;
    check!(kept == "kept", "the volume has `{kept}`");
    Ok(())
}

/// What systemd says of an orderly end, whether by power-off or by reset.
fn journal_ends_with_a_shutdown(guest: &Nested<'_>) -> Outcome {
    let end = guest.ssh("journalctl --boot=-1 --no-pager --output=cat | tail -n 60")?;
    check!(
        end.contains("Reached target shutdown.target"),
        "the journal of the boot before does not end with its shutdown:\n{end}"
    );
    Ok(())
}

/// Nothing is left that could tidy up: the next start finds what this one left.
fn everything_killed(suite: &Suite, place: &Place) -> Outcome {
    let mut guest = suite.start_guest(place, By::Package)?;
    let start = Instant::now();
    loop {
        let status = guest.status();
        if matches!(&status, Ok(status) if status["state"] == "running") {
            break;
        }
        check!(
            start.elapsed() < PATIENCE && guest.is_running()?,
            "the guest does not run: {status:?}\n{}",
            guest.console()
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    guest.kill_all()
}

/// And ends with its guest when that restarts.
fn started_again(suite: &Suite, place: &Place) -> Outcome {
    let (mut guest, _) = suite.boot(place, By::Package)?;
    kept(&guest)?;
    let _ = guest.ssh("systemctl reboot");
    guest.ends()?;
    is_clean(suite.host()?, place)
}

fn is_clean(host: &KvmHost, place: &Place) -> Outcome {
    host.run(&format!("e2fsck -fn {}/var.img", place.state))?;
    Ok(())
}
