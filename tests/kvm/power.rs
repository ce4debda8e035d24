//! The power of the host is cut while guests write: what they were told is stored has to be there.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use harness::nested::{By, Place};
use harness::{KvmHost, Outcome, check};

use crate::definition::Guest;
use crate::hypervisors::Hypervisor;
use crate::suite::{self, Suite};

/// How many times it is cut; once without it.
pub const CUTS: &str = "MICROVM_CUTS";

/// As many records are written before the end.
const RECORDS: u64 = 100;

/// Says a number when it is stored.
const WRITE: &str = "i=0; while :; do i=$((i + 1)); echo $i >> /var/lib/records; \
                     sync /var/lib/records && echo $i; done";

pub fn is_cut(suite: &Suite, hypervisor: &Hypervisor) -> Outcome {
    // The other guests would lose their power too.
    let _alone = suite.alone();
    let place = suite.place(hypervisor, Guest::Plain, "power")?;
    for _ in 0..wanted()? {
        once(suite, &place)?;
    }
    Ok(())
}

fn wanted() -> Outcome<u32> {
    let Some(text) = std::env::var_os(CUTS) else {
        return Ok(1);
    };
    let text = text.to_string_lossy();
    let number = text.parse();
    Ok(number.map_err(|_| format!("`{CUTS}` is `{text}`; accepted is a whole number"))?)
}

fn once(suite: &Suite, place: &Place) -> Outcome {
    let host = suite.host()?;
    suite::prepare(host, place, "rm -f var.img")?;
    let (guest, _) = suite.boot(place, By::Package)?;
    let told = written_until_the_end(host, place)?;
    drop(guest);
    let found = stored(host, place)?;
    println!(
        "{}: {told} records were told, {found} are there",
        place.unit
    );
    check!(
        found >= told,
        "{}: {told} records were told to be stored, {found} are there",
        place.unit
    );
    Ok(())
}

/// Gives the last record that the guest said to be stored.
fn written_until_the_end(host: &KvmHost, place: &Place) -> Outcome<u64> {
    let mut writer = host.ssh().command(place.address, WRITE);
    let mut writer = writer.stdout(Stdio::piped()).spawn()?;
    let said = writer.stdout.take().ok_or("stdout is piped")?;
    let mut last = 0;
    let mut cut = Ok(());
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        last = line.parse()?;
        if last == RECORDS {
            cut = host.cut_power();
        }
    }
    writer.wait()?;
    cut?;
    check!(last >= RECORDS, "the guest ended after {last} records");
    Ok(last)
}

/// Repairs the volume as the guest's next boot would, and counts the records in it.
fn stored(host: &KvmHost, place: &Place) -> Outcome<u64> {
    let state = &place.state;
    let repaired = host.run(&format!(
        "cd {state}; e2fsck -p var.img >&2; test $? -le 1 && e2fsck -fn var.img >&2 && \
         debugfs -R 'cat /lib/records' var.img"
    ))?;
    let numbers: Vec<&str> = repaired.lines().collect();
    for (number, line) in (1..).zip(&numbers) {
        check!(
            *line == number.to_string(),
            "record {number} of {} is `{line}`",
            numbers.len()
        );
    }
    Ok(numbers.len() as u64)
}
