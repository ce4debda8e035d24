//! What goes wrong around a run: one clear message each, and nothing left behind.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use harness::{Fleet, Guest, Outcome, check};
use nix::sys::signal::Signal;

/// In turn, for all are about one VM.
pub fn around_a_run(fleet: &Fleet) -> Outcome {
    fleet.build("lone")?;
    taken_port(fleet)?;
    let mut guest = fleet.run("lone")?;
    guest.wait_for_ssh()?;
    second_run(fleet, &guest)?;
    interrupt(&mut guest)?;
    full_disk(fleet)?;
    interrupted_early(fleet)
}

fn taken_port(fleet: &Fleet) -> Outcome {
    let port = fleet.port("tcp:lone");
    let _holder = TcpListener::bind(("127.0.0.1", port))?;
    let mut guest = fleet.run("lone")?;
    refused(&mut guest, 7, &format!("{port}"))?;
    crate::roots::left_clean(guest.state())
}

fn second_run(fleet: &Fleet, first: &Guest) -> Outcome {
    let mut second = fleet.run("lone")?;
    refused(&mut second, 7, "running")?;
    check!(
        first.state().join("lone.sock").exists(),
        "the second run removed the socket of the first"
    );
    Ok(())
}

/// SIGINT stops the guest as its power button does.
fn interrupt(guest: &mut Guest) -> Outcome {
    guest.signal(Signal::SIGINT)?;
    let status = guest.wait(Duration::from_secs(240))?;
    check!(
        matches!(status.code(), Some(0 | 130)),
        "ended with {status}:\n{}",
        guest.tail()
    );
    check!(
        guest.console().contains("Power"),
        "the guest's own shutdown is not on its console:\n{}",
        guest.tail()
    );
    crate::roots::left_clean(guest.state())
}

/// A volume that does not fit is refused, and its half is removed.
fn full_disk(fleet: &Fleet) -> Outcome {
    let state = fleet.path().join("tiny");
    std::fs::create_dir_all(&state)?;
    if let Err(error) = mount_tiny(&state) {
        println!("skipped: full disk: {error}");
        return Ok(());
    }
    let result = run_in(fleet, &state).and_then(|mut guest| {
        refused(&mut guest, 8, "var.img")?;
        check!(
            std::fs::read_dir(&state)?.count() <= 1,
            "something half-made was left in the state directory"
        );
        Ok(())
    });
    nix::mount::umount(&state)?;
    result
}

fn mount_tiny(state: &Path) -> nix::Result<()> {
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(Some("tiny"), state, Some("tmpfs"), flags, Some("size=64k"))
}

/// As Ctrl-C does while the hypervisor starts, but by a signal that no shell ignores for a program
/// in the background.
fn interrupted_early(fleet: &Fleet) -> Outcome {
    for delay in [1, 20, 60, 150, 400] {
        let mut guest = fleet.run("lone")?;
        std::thread::sleep(Duration::from_millis(delay));
        guest.signal(Signal::SIGTERM)?;
        std::thread::sleep(Duration::from_millis(200));
        let _ = guest.signal(Signal::SIGTERM);
        guest.wait(Duration::from_secs(120))?;
        crate::roots::left_clean(guest.state())?;
    }
    Ok(())
}

fn run_in(fleet: &Fleet, state: &Path) -> Outcome<Guest> {
    let mut command = fleet.microvm();
    command.args(["run", ".#lone", "--state-dir"]).arg(state);
    Guest::start("lone", command, state.to_owned(), None)
}

fn refused(guest: &mut Guest, code: i32, word: &str) -> Outcome {
    let status = guest.wait(Duration::from_secs(120))?;
    let said = guest.console();
    check!(
        status.code() == Some(code),
        "ended with {status}, not with code {code}:\n{said}"
    );
    check!(
        said.contains("error:") && said.contains(word),
        "the message does not name `{word}`:\n{said}"
    );
    Ok(())
}
