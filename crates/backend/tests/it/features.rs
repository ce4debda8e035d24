//! The table itself; see `every` for what stands behind it.

use std::collections::HashSet;

use backend::features::{Feature, HYPERVISORS, Support, name};

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
