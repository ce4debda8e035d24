//! The store disk against mkfs.erofs alone, on the same tree and cores.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Fleet, Outcome, host};

use crate::table::{Table, median, timed};

const TURNS: usize = 3;

/// `cold` differs from `tree` by one file with the time in it, so that it is built anew.
pub fn store_disk(fleet: &Fleet, table: &mut Table) -> Outcome {
    let spec = std::fs::read_to_string(fleet.build("tree")?.join("share/microvm/spec.json"))?;
    let spec: serde_json::Value = serde_json::from_str(&spec)?;
    let tree = spec["guest"]["root_tree"]
        .as_str()
        .ok_or("no root tree in spec.json")?;
    let image = fleet.path().join("alone.erofs");
    let phases = phases(fleet)?;
    let ours = phases
        .iter()
        .find(|(name, _)| name == "store disk")
        .ok_or("the build made no store disk")?
        .1;
    let alone = median(TURNS, || {
        timed(|| {
            host::output(
                Command::new("mkfs.erofs")
                    .args(["-zlz4hc", "-Eztailpacking"])
                    .arg(&image)
                    .arg(tree),
            )
        })
    })?;
    let listed: Vec<String> = phases
        .iter()
        .map(|(name, time)| format!("{name} {:.1} s", time.as_secs_f64()))
        .collect();
    table.row(
        "store disk in a cold build",
        format!("{:.2} s", ours.as_secs_f64()),
        format!(
            "mkfs.erofs alone {:.2} s; the whole build: {}",
            alone.as_secs_f64(),
            listed.join(", ")
        ),
    );
    Ok(())
}

/// Phases of a build with their times, as it prints them.
fn phases(fleet: &Fleet) -> Outcome<Vec<(String, Duration)>> {
    let mut child = fleet
        .microvm()
        .args(["build", ".#cold", "--no-link"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = child.stderr.take().ok_or("stderr was piped")?;
    let mut seen: Vec<(String, Instant)> = Vec::new();
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        let phase = line.split_once(':').map_or(&*line, |(phase, _)| phase);
        seen.push((phase.to_owned(), Instant::now()));
    }
    let end = Instant::now();
    if !child.wait()?.success() {
        return Err("the cold build failed".into());
    }
    let ends = seen
        .iter()
        .skip(1)
        .map(|(_, at)| *at)
        .chain([end])
        .collect::<Vec<_>>();
    Ok(seen
        .into_iter()
        .zip(ends)
        .map(|((name, start), end)| (name, end - start))
        .collect())
}
