//! The table: what is advertised for QEMU has an effect, and what is not is refused.

use std::collections::HashSet;

use backend::features::{Feature, HYPERVISORS, Support, name, needs};
use backend::plan::{GuestFiles, Plan, Version};
use spec::Vm;
use spec::vm::Hypervisor;

use crate::sample;
use crate::samples::all;

#[test]
fn what_qemu_advertises_yields_an_argument() {
    let mut facts = sample::facts();
    facts.version = Version(11, 0, 0);
    facts.root = true;
    let shown = |vm: &Vm, guest: &GuestFiles| sample::show(&Plan::new(vm, guest, &facts).unwrap());
    let plain = shown(&sample::vm(), &sample::guest());
    for feature in Feature::ALL {
        let mut samples = all()
            .into_iter()
            .filter(|sample| sample.features.contains(feature));
        if !feature.support(Hypervisor::Qemu).is_possible() {
            assert!(samples.next().is_none(), "{feature:?} has a sample");
            continue;
        }
        let sample = samples.next().unwrap_or_else(|| panic!("{feature:?}"));
        if *feature == Feature::GracefulStop {
            assert!(plain.contains("mode=control"));
            continue;
        }
        assert_ne!(plain, shown(&sample.vm, &sample.guest), "{feature:?}");
        let asked = needs(&sample.vm);
        assert!(
            asked.iter().any(|need| need.feature == *feature),
            "{feature:?} is not asked for by {}",
            sample.name
        );
    }
}

#[test]
fn titles_are_unique_and_someone_can_do_each() {
    let titles: HashSet<&str> = Feature::ALL.iter().map(|feature| feature.title()).collect();
    assert_eq!(titles.len(), Feature::ALL.len());
    assert!(
        Feature::ALL
            .iter()
            .all(|feature| !feature.able().is_empty())
    );
}

#[test]
fn table() {
    let mut text = String::new();
    for feature in Feature::ALL {
        let cells = HYPERVISORS.map(|hypervisor| match feature.support(hypervisor) {
            Support::Yes => name(hypervisor).to_owned(),
            Support::No => "-".to_owned(),
            Support::Since(version) => format!("{}>={version}", name(hypervisor)),
        });
        text.push_str(&format!("{}: {}\n", feature.title(), cells.join(" ")));
    }
    insta::assert_snapshot!(text);
}
