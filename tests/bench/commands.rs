//! Whole commands: build, run, check, and how large things are.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::{Fleet, Outcome, host};

use crate::stand_in;
use crate::table::{Table, median, ms, timed};

pub fn unchanged_build(fleet: &Fleet, table: &mut Table) -> Outcome {
    fleet.build("bench")?;
    let time = median(21, || {
        timed(|| host::output(fleet.microvm().args(["build", ".#bench", "--no-link"])))
    })?;
    let empty = median(21, || {
        timed(|| host::output(fleet.microvm().arg("--version")))
    })?;
    table.row(
        "unchanged `microvm build`",
        ms(time),
        format!("at most 50 ms; `microvm --version` takes {}", ms(empty)),
    );
    Ok(())
}

/// From the start of bin/microvm-run to the first instruction of the hypervisor's main.
pub fn until_exec(fleet: &Fleet, place: &Path, table: &mut Table) -> Outcome {
    let programs = place.join("bin");
    std::fs::create_dir_all(&programs)?;
    std::fs::copy(std::env::current_exe()?, programs.join(stand_in::PROGRAM))?;
    let program = programs.join(stand_in::PROGRAM);
    let run = fleet.build("stand-in")?.join("bin/microvm-run");
    let state = fleet.state("stand-in")?;
    let runner = median(21, || {
        handed_over(fleet, Command::new(&run).current_dir(&state))
    })?;
    let direct = median(21, || handed_over(fleet, &mut Command::new(&program)))?;
    let overhead = runner.saturating_sub(direct);
    table.row(
        "`microvm-run` to the hypervisor's exec",
        ms(overhead),
        format!(
            "at most 5 ms; a bare exec of the same program takes {}",
            ms(direct)
        ),
    );
    Ok(())
}

fn handed_over(fleet: &Fleet, command: &mut Command) -> Outcome<Duration> {
    command.env("MICROVM_CACHE", fleet.cache());
    let start = stand_in::now();
    let said = host::output(command)?;
    let at = said
        .lines()
        .find_map(|line| line.strip_prefix("handed over at "))
        .ok_or("the stand-in did not tell the time")?;
    Ok(Duration::from_nanos(at.parse()?).saturating_sub(start))
}

pub fn check_thousand(fleet: &Fleet, table: &mut Table) -> Outcome {
    let directory = fleet.path().join("thousand");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("microvm.toml"), thousand()?)?;
    let time = median(11, || {
        timed(|| host::output(fleet.microvm().args(["check", "./thousand"])))
    })?;
    let parsing = median(11, || {
        timed(|| Ok(toml::from_str::<toml::Table>(&thousand()?)?))
    })?;
    table.row(
        "`microvm check` of 1,000 VMs",
        ms(time),
        format!(
            "at most 200 ms; the `toml` crate alone reads the file in {}",
            ms(parsing)
        ),
    );
    Ok(())
}

fn thousand() -> Outcome<String> {
    let mut text = String::new();
    for n in 0..1000 {
        let (high, low) = (n / 256, n % 256);
        writeln!(text, "[vm.vm{n}]\nvcpu = 2\nmem = 512")?;
        writeln!(
            text,
            "volumes = [{{ image = \"var.img\", mountPoint = \"/var\", size = 1024 }}]"
        )?;
        writeln!(
            text,
            "interfaces = [{{ type = \"tap\", id = \"vm{n}\", mac = \"02:00:00:00:{high:02x}:{low:02x}\" }}]"
        )?;
        writeln!(text, "[vm.vm{n}.guest]\ndebian = {{}}\n")?;
    }
    Ok(text)
}

pub fn sizes(fleet: &Fleet, table: &mut Table) -> Outcome {
    let spec = std::fs::read_to_string(fleet.build("bench")?.join("share/microvm/spec.json"))?;
    let spec: serde_json::Value = serde_json::from_str(&spec)?;
    let size = |path: &str| -> Outcome<u64> { Ok(std::fs::metadata(path)?.len()) };
    let initrd = size(
        spec["guest"]["initrd"]
            .as_str()
            .ok_or("no initrd in spec.json")?,
    )?;
    let kernel = size(
        spec["guest"]["kernel"]
            .as_str()
            .ok_or("no kernel in spec.json")?,
    )?;
    table.row(
        "initrd",
        mib(initrd),
        format!("its kernel has {}", mib(kernel)),
    );
    table.row(
        "`microvm` binary",
        mib(std::fs::metadata(host::microvm())?.len()),
        "built with the release profile, stripped".to_owned(),
    );
    Ok(())
}

pub fn mib(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}
