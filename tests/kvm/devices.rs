//! What the table says that a hypervisor can, seen from the guest.

use std::time::{Duration, Instant};

use harness::nested::{By, PATIENCE, Place};
use harness::{KvmHost, Nested, Outcome, check};

use crate::definition::{CID, Guest, MEM_MIB, TOKEN, share};
use crate::hypervisors::Hypervisor;
use crate::suite::{self, Suite};

pub fn everything(suite: &Suite, hypervisor: &Hypervisor) -> Outcome {
    let place = suite.place(hypervisor, Guest::Devices, "devices")?;
    let _turn = suite.turn(Guest::Devices);
    let host = suite.host()?;
    prepare(host, &place)?;
    let (mut guest, _) = suite.boot(&place, By::Run)?;
    if hypervisor.has("credentials for the guest") {
        let token = guest.ssh("cat /run/credentials/@system/token")?;
        check!(token == "only for the guest", "the credential is `{token}`");
    }
    overlay(&guest)?;
    if share(hypervisor).is_some() {
        shared(host, &guest)?;
    }
    if hypervisor.has("vsock") {
        vsock(host, &guest)?;
        commands(host, &guest)?;
    }
    if hypervisor.has("balloon") {
        balloon(&guest)?;
    }
    if hypervisor.has("pause and resume") {
        pause(&guest)?;
    }
    console(host, &guest)?;
    // Every hypervisor ends when its guest has powered off.
    let _ = guest.ssh("systemctl poweroff");
    guest.ends()?;
    suite::no_socket_is_left(host, &place)
}

/// Makes what the guest shares with its host, and its credential.
pub fn prepare(host: &KvmHost, place: &Place) -> Outcome {
    let line = format!(
        "mkdir -p shared && echo of the host > shared/from-host && \
         (umask 077; echo only for the guest > {TOKEN})"
    );
    suite::prepare(host, place, &line)
}

/// Changes to the guest's own files are on the volume for them.
fn overlay(guest: &Nested<'_>) -> Outcome {
    let found = guest.ssh(
        "findmnt -no FSTYPE /overlay; echo changed > /etc/changed; sync; \
         find /overlay -name changed -type f | wc -l",
    )?;
    check!(found == "ext4\n1", "the overlay's volume has `{found}`");
    Ok(())
}

fn shared(host: &KvmHost, guest: &Nested<'_>) -> Outcome {
    let seen = guest.ssh("cat /mnt/shared/from-host")?;
    check!(
        seen == "of the host",
        "the guest sees `{seen}` in the share"
    );
    guest.ssh("echo of the guest > /mnt/shared/from-guest; sync")?;
    let state = &guest.place().state;
    let seen = host.run(&format!("cat {state}/shared/from-guest"))?;
    check!(
        seen == "of the guest",
        "the host sees `{seen}` in the share"
    );
    Ok(())
}

/// Some hypervisors give the host a socket in the state directory, others an address.
fn vsock(host: &KvmHost, guest: &Nested<'_>) -> Outcome {
    guest.ssh("systemd-run -q socat VSOCK-LISTEN:1234,fork SYSTEM:'echo over vsock'")?;
    let state = &guest.place().state;
    let name = Guest::Devices.name();
    let ask = format!(
        "cd {state}; if test -S {name}-vsock.sock; \
         then (echo CONNECT 1234; sleep 20) | socat -t 20 - UNIX-CONNECT:{name}-vsock.sock; \
         else socat -u VSOCK-CONNECT:{CID}:1234 -; fi"
    );
    let start = Instant::now();
    loop {
        let answer = host.run(&ask);
        if matches!(&answer, Ok(answer) if answer.ends_with("over vsock")) {
            return Ok(());
        }
        check!(
            start.elapsed() < PATIENCE / 4,
            "the guest answers {answer:?} over vsock"
        );
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// `microvm exec`, which wants an installed VM: its directory is shown at a place of that name.
fn commands(host: &KvmHost, guest: &Nested<'_>) -> Outcome {
    let place = guest.place();
    let (state, package) = (&place.state, place.package.display());
    let name = Guest::Devices.name();
    let fleet = format!("/run/fleets/{}", place.unit);
    let said = host.run(&format!(
        "set -e; mkdir -p {fleet}/{name}; mount --bind {state} {fleet}/{name}; \
         ln -sfn {package} {state}/current; \
         code=0; echo given | $(readlink -f {package}/bin/microvm-run) exec {name} \
         --state-dir {fleet} -- sh -c 'cat; hostname; exit 7' 2>&1 || code=$?; \
         umount {fleet}/{name}; rm {state}/current; echo code $code"
    ))?;
    let expected = format!("given\n{name}\ncode 7");
    check!(
        said == expected,
        "`exec` over vsock gave `{said}`, not `{expected}`"
    );
    Ok(())
}

fn balloon(guest: &Nested<'_>) -> Outcome {
    let free = || -> Outcome<u64> {
        let available = guest.ssh("awk '/MemAvailable/ {print $2}' /proc/meminfo")?;
        Ok(available.parse()?)
    };
    let before = free()?;
    let small = MEM_MIB - 64;
    let printed = guest.program(&format!("microvm-balloon {small}"))?;
    // A busy guest may still be giving memory up when the program has waited long enough.
    let reached = printed.is_empty() || (small..MEM_MIB).contains(&printed.parse()?);
    check!(reached, "microvm-balloon {small} printed `{printed}`");
    let start = Instant::now();
    loop {
        let after = free()?;
        if after + 40_000 < before {
            break;
        }
        check!(
            start.elapsed() < PATIENCE / 4,
            "MemAvailable was {before} kB and is {after} kB"
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    guest.program(&format!("microvm-balloon {MEM_MIB}"))?;
    Ok(())
}

fn pause(guest: &Nested<'_>) -> Outcome {
    check!(guest.greets(), "SSH does not greet before the pause");
    guest.program("microvm-pause")?;
    let status = guest.status()?;
    check!(status["state"] == "paused", "the status is {status}");
    check!(!guest.greets(), "SSH greets while the guest is paused");
    guest.program("microvm-resume")?;
    let status = guest.status()?;
    check!(status["state"] == "running", "the status is {status}");
    guest.ssh("true")?;
    Ok(())
}

/// Who joins late sees what was said before.
fn console(host: &KvmHost, guest: &Nested<'_>) -> Outcome {
    guest.ssh("echo said before you came > /dev/console")?;
    let place = guest.place();
    let seen = host.run(&format!(
        "cd {}; timeout 5 {}/bin/microvm-console </dev/null 2>&1 || true",
        place.state,
        place.package.display()
    ))?;
    check!(
        seen.contains("said before you came"),
        "the console shows `{seen}`"
    );
    Ok(())
}
