//! Every backend against every option: a snapshot of each plan, one of all refusals, and what the
//! table advertises has an effect.

use backend::control::Api;
use backend::features::{self, Feature, built, name, needs};
use backend::plan::Plan;
use spec::vm::Hypervisor;

use crate::sample;
use crate::samples::{self, Sample};

fn plan(sample: &Sample) -> Result<String, String> {
    let facts = sample::facts_of(sample.vm.hypervisor);
    match Plan::new(&sample.vm, &sample.guest, &facts) {
        Ok(plan) => Ok(sample::show_all(&plan)),
        Err(refused) => Err(refused.to_string()),
    }
}

/// QEMU has snapshots of its own, for two versions; see `argv`.
#[test]
fn every_option() {
    for hypervisor in built().into_iter().filter(|it| *it != Hypervisor::Qemu) {
        let mut refusals = String::new();
        for sample in samples::of(hypervisor) {
            match plan(&sample) {
                Ok(text) => {
                    insta::assert_snapshot!(format!("{}-{}", name(hypervisor), sample.name), text);
                }
                Err(refused) => refusals.push_str(&format!("# {}\n{refused}\n\n", sample.name)),
            }
        }
        insta::assert_snapshot!(format!("{}-refused", name(hypervisor)), refusals);
    }
}

#[test]
fn what_is_advertised_has_an_effect() {
    for hypervisor in built() {
        let samples = samples::of(hypervisor);
        let plain = plan(&samples[0]).unwrap();
        for feature in Feature::ALL {
            let can = feature.support(hypervisor).is_possible();
            if feature.options().is_empty() {
                assert_eq!(
                    can,
                    has_verb(hypervisor, *feature),
                    "{hypervisor}: {feature:?}"
                );
                continue;
            }
            let mut shown = samples.iter().filter(|it| it.features.contains(feature));
            if can {
                let done = shown.any(|sample| asks(sample, *feature) && differs(sample, &plain));
                assert!(done, "{hypervisor}: {feature:?} has no effect");
            } else {
                // What only another hypervisor reads is no wish of this one.
                let refused = shown.all(|sample| refuses(sample, *feature));
                assert!(refused, "{hypervisor}: {feature:?} is not refused");
            }
        }
    }
}

fn asks(sample: &Sample, feature: Feature) -> bool {
    needs(&sample.vm).iter().any(|need| need.feature == feature)
}

fn differs(sample: &Sample, plain: &str) -> bool {
    plan(sample).is_ok_and(|text| text != plain)
}

/// With the names of those that can.
fn refuses(sample: &Sample, feature: Feature) -> bool {
    features::refusals(&sample.vm).iter().any(|refusal| {
        let named = feature
            .able()
            .iter()
            .all(|it| refusal.message.contains(name(*it)));
        refusal.message.contains(feature.title()) && refusal.able == feature.able() && named
    })
}

/// Whether there is a way to do what no option asks for.
fn has_verb(hypervisor: Hypervisor, feature: Feature) -> bool {
    let mut vm = sample::vm();
    vm.hypervisor = hypervisor;
    let facts = sample::facts_of(hypervisor);
    let control = Plan::new(&vm, &sample::guest(), &facts).unwrap().control;
    match feature {
        Feature::GracefulStop => control.api != Api::None || control.agent.is_some(),
        Feature::Pause => !matches!(control.api, Api::None),
        other => panic!("{other:?}: say here how it shows"),
    }
}

/// A wish that nobody can fulfil is told with every other one.
#[test]
fn everything_is_refused_at_once() {
    for hypervisor in built() {
        let refused = samples::of(hypervisor).into_iter().filter_map(|sample| {
            let plan = Plan::new(&sample.vm, &sample.guest, &sample::facts_of(hypervisor));
            Some((sample, plan.err()?))
        });
        for (sample, refused) in refused {
            let impossible = needs(&sample.vm)
                .into_iter()
                .filter(|need| !need.feature.support(hypervisor).is_possible())
                .count();
            assert!(
                refused.reasons.len() >= impossible,
                "{}: {refused}",
                sample.name
            );
        }
    }
}
