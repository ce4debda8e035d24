//! One guest with everything a definition can ask of QEMU's `microvm` machine without privileges.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::{Fleet, Guest, Outcome, check, host};

pub fn everything(fleet: &Fleet) -> Outcome {
    let package = fleet.build("full")?;
    let state = fleet.state("full")?;
    for share in ["nine", "vfs"] {
        std::fs::create_dir_all(state.join(share))?;
        std::fs::write(
            state.join(share).join("from-host"),
            format!("{share} of the host"),
        )?;
    }
    first_boot(fleet, &package)?;
    second_boot(fleet, &package)
}

fn first_boot(fleet: &Fleet, package: &Path) -> Outcome {
    let mut guest = fleet.run("full")?;
    same(&mut guest, "nproc", "2")?;
    same(&mut guest, "cat /run/credentials/@system/token", "s3cret")?;
    shares(&mut guest)?;
    forwarded(fleet, &mut guest)?;
    balloon(&mut guest, package)?;
    guest.ssh("echo kept > /var/lib/kept; echo kept > /usr/local/kept; echo kept > /nix/.rw-store/kept; sync")?;
    stop(&mut guest, package)
}

fn second_boot(fleet: &Fleet, package: &Path) -> Outcome {
    let mut guest = fleet.run("full")?;
    same(
        &mut guest,
        "cat /var/lib/kept /usr/local/kept /nix/.rw-store/kept",
        "kept\nkept\nkept",
    )?;
    let journal = guest.ssh("journalctl -b -1 --no-pager -o cat")?;
    let said = [
        "Reached target poweroff.target",
        "System is powering down",
        "Power Off",
    ];
    check!(
        said.iter().any(|text| journal.contains(text)),
        "the journal of the first boot does not end with a shutdown:\n{journal}"
    );
    stop(&mut guest, package)
}

fn same(guest: &mut Guest, command: &str, expected: &str) -> Outcome {
    let seen = guest.ssh(command)?;
    check!(
        seen == expected,
        "`{command}` gave `{seen}`, not `{expected}`"
    );
    Ok(())
}

fn shares(guest: &mut Guest) -> Outcome {
    for share in ["nine", "vfs"] {
        same(
            guest,
            &format!("cat /mnt/{share}/from-host"),
            &format!("{share} of the host"),
        )?;
        guest.ssh(&format!(
            "echo {share} of the guest > /mnt/{share}/from-guest && sync"
        ))?;
        let seen = std::fs::read_to_string(guest.state().join(share).join("from-guest"))?;
        check!(
            seen.trim() == format!("{share} of the guest"),
            "the host sees `{seen}` in `{share}`"
        );
    }
    same(guest, "cat /mnt/ro/from-host", "vfs of the host")?;
    same(
        guest,
        "touch /mnt/ro/x 2>/dev/null || echo refused",
        "refused",
    )
}

fn forwarded(fleet: &Fleet, guest: &mut Guest) -> Outcome {
    guest.ssh("systemd-run -q socat TCP-LISTEN:7,fork,reuseaddr PIPE; systemd-run -q socat UDP-LISTEN:7,fork PIPE; sleep 1")?;
    let mut echo = TcpStream::connect(("127.0.0.1", fleet.port("tcp:full-echo")))?;
    echo.set_read_timeout(Some(Duration::from_secs(120)))?;
    echo.write_all(b"tcp")?;
    let mut answer = [0; 3];
    echo.read_exact(&mut answer)?;
    check!(&answer == b"tcp", "the tcp echo gave {answer:?}");

    let echo = UdpSocket::bind(("127.0.0.1", 0))?;
    echo.connect(("127.0.0.1", fleet.port("udp:full-echo")))?;
    echo.set_read_timeout(Some(Duration::from_secs(120)))?;
    echo.send(b"udp")?;
    let length = echo.recv(&mut answer)?;
    check!(
        &answer[..length] == b"udp",
        "the udp echo gave {:?}",
        &answer[..length]
    );

    let back = TcpListener::bind(("127.0.0.1", fleet.port("tcp:full-back")))?;
    let host = std::thread::spawn(move || -> std::io::Result<()> {
        back.accept()?.0.write_all(b"the host")
    });
    same(guest, "socat -u TCP:10.0.2.100:8080 -", "the host")?;
    host.join().map_err(|_| "the listener panicked")??;
    Ok(())
}

fn balloon(guest: &mut Guest, package: &Path) -> Outcome {
    let free = |guest: &mut Guest| -> Outcome<u64> {
        Ok(guest
            .ssh("awk '/MemAvailable/ {print $2}' /proc/meminfo")?
            .parse()?)
    };
    // With deflate-on-oom MemTotal stays: what shrinks is what the guest may use.
    let before = free(guest)?;
    let printed = host::output(
        Command::new(package.join("bin/microvm-balloon"))
            .arg("512")
            .current_dir(guest.state()),
    )?;
    check!(
        printed.trim() == "512",
        "microvm-balloon printed `{printed}`"
    );
    let after = free(guest)?;
    check!(
        after + 200_000 < before,
        "MemAvailable was {before} kB and is {after} kB"
    );
    host::output(
        Command::new(package.join("bin/microvm-balloon"))
            .arg("768")
            .current_dir(guest.state()),
    )?;
    Ok(())
}

fn stop(guest: &mut Guest, package: &Path) -> Outcome {
    // Emulated, beside other guests: a minute may not be enough for its shutdown.
    host::output(
        Command::new(package.join("bin/microvm-shutdown"))
            .env("MICROVM_SHUTDOWN_TIMEOUT", "200")
            .current_dir(guest.state()),
    )?;
    let status = guest.wait(Duration::from_secs(240))?;
    check!(
        status.success(),
        "the guest ended with {status}:\n{}",
        guest.tail()
    );
    crate::roots::left_clean(guest.state())?;
    for volume in ["var.img", "rw.img"] {
        host::output(
            Command::new("e2fsck")
                .arg("-fn")
                .arg(guest.state().join(volume)),
        )?;
    }
    Ok(())
}
