//! Keepers need the `microvm` binary: `tests/tests/fleet.rs` has them. Here is what they are made
//! of.

use super::keeper::Outcome;
use super::*;

#[test]
fn an_outcome_is_left_and_forgotten() {
    let run = tempfile::tempdir().unwrap();
    let name = fleet::name("web").unwrap();
    assert_eq!(Outcome::read(run.path(), &name), None);
    Outcome::Escalated.write(run.path(), &name);
    assert_eq!(Outcome::read(run.path(), &name), Some(Outcome::Escalated));
    Outcome::forget(run.path(), &name);
    assert_eq!(Outcome::read(run.path(), &name), None);
}

#[test]
fn parts_have_locks_that_are_no_vms() {
    let name = fleet::name("web").unwrap();
    for part in [Part::Hypervisor, Part::Shares, Part::Keeper] {
        assert!(fleet::name(&part.lock_name(&name)).is_err());
    }
}
