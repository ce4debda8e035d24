//! A host with many VMs: how long its commands take, and what a running VM costs beside its
//! hypervisor. The hypervisor is a stand-in, so that only what is ours is seen.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Fleet, Outcome, host};

use crate::commands::mib;
use crate::stand_in;
use crate::table::{Table, median, ms, timed};

/// How many are installed.
const MANY: u32 = 1000;

/// How many run.
const RUNNING: u32 = 20;

/// Those that run; their stand-in speaks QMP, and ends when it is asked to.
pub fn definitions() -> String {
    let one = |name: String| {
        format!(
            "[vm.{name}]\nqemu.package = \"@stand-in@\"\nkernel = \"/etc/hostname\"\n\
             initrdPath = \"/etc/hostname\"\n"
        )
    };
    names().into_iter().map(one).collect()
}

fn names() -> Vec<String> {
    let name = |number| format!("{}{number}", stand_in::STAYS);
    (0..RUNNING).map(name).collect()
}

pub fn many(fleet: &Fleet, table: &mut Table) -> Outcome {
    let state = fleet.path().join("many");
    let mut text = String::new();
    for number in 0..MANY {
        writeln!(
            text,
            "[vms.vm{number}]\nautostart = false\n[vms.vm{number}.config]\n\
             kernel = \"/etc/hostname\"\ninitrdPath = \"/etc/hostname\""
        )?;
    }
    std::fs::write(fleet.path().join("host.toml"), text)?;
    let microvm = |words: &[&str]| {
        let mut command = fleet.microvm();
        command.args(words).args(["--state-dir"]).arg(&state);
        host::output(&mut command)
    };
    std::fs::create_dir_all(&state)?;
    let first = timed(|| microvm(&["apply", "--config", "host.toml"]))?;
    let find = median(11, || {
        timed(|| host::output(Command::new("find").arg(&state)))
    })?;
    let list = median(11, || timed(|| microvm(&["list"])))?;
    table.row(
        "`microvm list` of 1,000 VMs",
        ms(list),
        format!(
            "at most 100 ms; `find` in their directories takes {}",
            ms(find)
        ),
    );
    let apply = median(5, || timed(|| microvm(&["apply", "--config", "host.toml"])))?;
    table.row(
        "`microvm apply` of 1,000 unchanged VMs",
        ms(apply),
        format!("their installation took {}", ms(first)),
    );
    Ok(())
}

/// The stand-in is where [`crate::commands::until_exec`] put it.
pub fn running(fleet: &Fleet, table: &mut Table) -> Outcome {
    let own = fleet.path().join("own");
    std::fs::create_dir_all(&own)?;
    // A name by which its processes are told from all others.
    let program = own.join("microvm");
    std::fs::copy(host::microvm(), &program)?;
    let state = fleet.path().join("running");
    std::fs::create_dir_all(&state)?;
    let names = names();
    let microvm = |verb: &str, words: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(fleet.path()).arg(verb).args(words);
        command.arg("--state-dir").arg(&state);
        command
            .env("MICROVM_STORE", fleet.store())
            .env("MICROVM_CACHE", fleet.cache());
        host::output(&mut command)
    };
    for name in &names {
        microvm("create", &[name, "-f", "."])?;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let one = timed(|| microvm("start", &names[..1]))?;
    microvm("stop", &names[..1])?;
    let start = timed(|| microvm("start", &names))?;
    let memory = memory_of(&program)?;
    let stop = timed(|| microvm("stop", &names))?;
    table.row(
        "memory of a running VM beside its hypervisor",
        mib(memory / u64::from(RUNNING)),
        format!("aim: 3 MiB; proportional, of {RUNNING} VMs without shares or systemd"),
    );
    table.row(
        "`microvm start` of 20 VMs",
        ms(start),
        format!("one takes {}; their hypervisor runs at once", ms(one)),
    );
    table.row(
        "`microvm stop` of 20 VMs",
        ms(stop),
        "their hypervisor ends as soon as it is asked".to_owned(),
    );
    Ok(())
}

/// Bytes of all processes of a program, each page divided by those who share it.
fn memory_of(program: &Path) -> Outcome<u64> {
    let program = program.canonicalize()?;
    let mut bytes = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let exe: Option<PathBuf> = std::fs::read_link(entry.path().join("exe")).ok();
        if exe.as_ref() != Some(&program) {
            continue;
        }
        let text = std::fs::read_to_string(entry.path().join("smaps_rollup"))?;
        let pss = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = pss.and_then(|rest| rest.trim().strip_suffix(" kB"));
        let kib: u64 = kib.ok_or("the kernel tells no Pss")?.trim().parse()?;
        bytes += kib << 10;
    }
    harness::check!(bytes > 0, "no process of `{}` runs", program.display());
    Ok(bytes)
}
