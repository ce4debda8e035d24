//! Every hypervisor that is found, with real guests in an emulated host that has KVM.
//!
//! One definition serves all of them; what is tried beyond it is what `microvm hypervisors` says
//! of each. A hypervisor that is built and found is tried: nothing here names one.

mod boots;
mod definition;
mod devices;
mod flake;
mod fleet;
mod hosts;
mod hypervisors;
mod life;
mod network;
mod power;
mod refusals;
mod services;
mod suite;
mod tiny;
mod wide;

use std::sync::Arc;

use harness::Outcome;
use libtest_mimic::{Arguments, Completion, Trial};

use hosts::Hosts;
use hypervisors::Hypervisor;
use suite::Suite;

type Test = fn(&Suite, &Hypervisor) -> Outcome;

/// Alternating between the guests, of which each runs once at a time.
const TESTS: [(&str, Test); 5] = [
    ("keeps_its_volume_and_survives_crashes", life::everything),
    ("has_the_devices_of_the_table", devices::everything),
    ("has_queues_huge_pages_and_macvtap", wide::everything),
    ("has_what_it_stored_after_a_power_cut", power::is_cut),
    ("says_what_is_wrong_with_kvm", refusals::everything),
];

fn main() {
    let mut arguments = Arguments::from_args();
    // Several guests at once only make each slower.
    arguments.test_threads.get_or_insert(1);
    let hypervisors = hypervisors::all().expect("`microvm hypervisors --json` answers");
    let hosts = Arc::new(Hosts::new(hypervisors.clone()));
    let mut trials: Vec<Trial> = hypervisors
        .iter()
        .flat_map(|hypervisor| trials(hypervisor, &hosts))
        .collect();
    let qemu = without(&hypervisors, "qemu");
    trials.push(host_trial(
        "vms_on_a_network",
        qemu.clone(),
        &hosts,
        network::everything,
    ));
    trials.push(host_trial(
        "vms_of_a_flake",
        flake::skip_reason(),
        &hosts,
        flake::everything,
    ));
    // Last: it starts the KVM host again.
    let why = ["busybox", "skopeo", "umoci"]
        .into_iter()
        .find_map(harness::host::lacks)
        .or_else(fleet::unasked);
    trials.push(host_trial(
        "eight_vms_at_once",
        qemu.or(why),
        &hosts,
        fleet::everything,
    ));
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Ends the KVM host: `exit` runs no destructors.
    drop(Arc::into_inner(hosts));
    conclusion.exit();
}

fn trials(hypervisor: &Hypervisor, hosts: &Arc<Hosts>) -> Vec<Trial> {
    let name = &hypervisor.name;
    if let Some(why) = skip_reason(hypervisor) {
        return vec![skipped(name, why)];
    }
    let trial = |(test, run): (&str, Test)| {
        let (hosts, hypervisor) = (Arc::clone(hosts), hypervisor.clone());
        let name = format!("{name}::{test}");
        Trial::test(name.clone(), move || {
            hosts.run(&name, |suite| run(suite, &hypervisor))?;
            Ok(())
        })
    };
    let asked = std::env::var_os(boots::BOOTS).is_some();
    let row = asked.then_some(("boots_in_a_row", boots::in_a_row as Test));
    TESTS.into_iter().chain(row).map(trial).collect()
}

/// Why this one cannot be tried, if so.
fn without(hypervisors: &[Hypervisor], name: &str) -> Option<String> {
    match hypervisors.iter().find(|one| one.name == name) {
        Some(hypervisor) => skip_reason(hypervisor),
        None => Some(format!("there is no `{name}`")),
    }
}

/// Of the host, not of a hypervisor.
fn host_trial(
    name: &'static str,
    skip: Option<String>,
    hosts: &Arc<Hosts>,
    test: fn(&Suite) -> Outcome,
) -> Trial {
    if let Some(why) = skip {
        return skipped(name, why);
    }
    let hosts = Arc::clone(hosts);
    Trial::test(name, move || Ok(hosts.run(name, test)?))
}

fn skipped(name: &str, why: String) -> Trial {
    let name = name.to_owned();
    Trial::ignorable_test(name.clone(), move || {
        println!("skipped: {name} in the KVM host: {why}");
        Ok(Completion::ignored_with(why))
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
