//! Every hypervisor that is found, with real guests in an emulated host that has KVM.
//!
//! One definition serves all of them; what is tried beyond it is what `microvm hypervisors` says
//! of each. A hypervisor that is built and found is tried: nothing here names one.

mod boots;
mod definition;
mod devices;
mod flake;
mod hypervisors;
mod life;
mod network;
mod refusals;
mod suite;

use std::sync::Arc;

use harness::Outcome;
use libtest_mimic::{Arguments, Completion, Trial};

use hypervisors::Hypervisor;
use suite::Suite;

type Test = fn(&Suite, &Hypervisor) -> Outcome;

/// Alternating between the two guests, of which each runs once at a time.
const TESTS: [(&str, Test); 3] = [
    ("keeps_its_volume_and_survives_crashes", life::everything),
    ("has_the_devices_of_the_table", devices::everything),
    ("says_what_is_wrong_with_kvm", refusals::everything),
];

fn main() {
    let mut arguments = Arguments::from_args();
    // Several guests at once only make each slower.
    arguments.test_threads.get_or_insert(1);
    let hypervisors = hypervisors::all().expect("`microvm hypervisors --json` answers");
    let suite = Arc::new(Suite::new(&hypervisors));
    let network = network_trial(&hypervisors, &suite);
    let mut trials: Vec<Trial> = hypervisors
        .into_iter()
        .flat_map(|hypervisor| trials(hypervisor, &suite))
        .chain([network])
        .collect();
    trials.push(flake_trial(&suite));
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Ends the KVM host: `exit` runs no destructors.
    drop(Arc::into_inner(suite));
    conclusion.exit();
}

fn trials(hypervisor: Hypervisor, suite: &Arc<Suite>) -> Vec<Trial> {
    let name = hypervisor.name.clone();
    if let Some(why) = skip_reason(&hypervisor) {
        return vec![Trial::ignorable_test(name.clone(), move || {
            println!("skipped: {name} in the KVM host: {why}");
            Ok(Completion::ignored_with(why))
        })];
    }
    let hypervisor = Arc::new(hypervisor);
    let trial = |(test, run): (&str, Test)| {
        let (suite, hypervisor) = (Arc::clone(suite), Arc::clone(&hypervisor));
        let name = format!("{name}::{test}");
        Trial::test(name.clone(), move || {
            run(&suite, &hypervisor).map_err(|failure| {
                // At once: the others go on for long.
                eprintln!("{name}: {failure}");
                failure.to_string().into()
            })
        })
    };
    let asked = std::env::var_os(boots::BOOTS).is_some();
    let row = asked.then_some(("boots_in_a_row", boots::in_a_row as Test));
    TESTS.into_iter().chain(row).map(trial).collect()
}

/// Its guests are QEMU's.
fn network_trial(hypervisors: &[Hypervisor], suite: &Arc<Suite>) -> Trial {
    let name = "vms_on_a_network";
    let mut qemu = hypervisors.iter().filter(|one| one.name == "qemu");
    let why = match qemu.next() {
        Some(qemu) => skip_reason(qemu),
        None => Some("there is no QEMU".to_owned()),
    };
    let suite = Arc::clone(suite);
    Trial::ignorable_test(name, move || {
        if let Some(why) = why {
            println!("skipped: {name}: {why}");
            return Ok(Completion::ignored_with(why));
        }
        network::everything(&suite)
            .map(|()| Completion::Completed)
            .map_err(|failure| {
                eprintln!("{name}: {failure}");
                failure.to_string().into()
            })
    })
}

/// Of the host, not of a hypervisor.
fn flake_trial(suite: &Arc<Suite>) -> Trial {
    const NAME: &str = "vms_of_a_flake";
    if let Some(why) = flake::skip_reason() {
        return Trial::ignorable_test(NAME, move || {
            println!("skipped: {NAME} in the KVM host: {why}");
            Ok(Completion::ignored_with(why))
        });
    }
    let suite = Arc::clone(suite);
    Trial::test(NAME, move || {
        flake::everything(&suite).map_err(|failure| failure.to_string().into())
    })
}

fn skip_reason(hypervisor: &Hypervisor) -> Option<String> {
    if let Some(why) = hypervisor.absent() {
        return Some(why);
    }
    ["qemu-system-x86_64", "mmdebstrap", "mkfs.erofs", "ssh"]
        .into_iter()
        .find_map(harness::host::lacks)
}
