//! Real boots: each test starts real guests with the real program.

mod boots;
mod deployed;
mod foreign;
mod full;
mod lifecycle;
mod nested;
mod roots;
mod top;

use std::sync::Arc;

use harness::{Fleet, Outcome};
use libtest_mimic::{Arguments, Completion, Trial};

const TEXT: &str = include_str!("fleet.toml");

type Test = fn(&Fleet) -> Outcome;
/// Why a test cannot be tried on this host.
type Lacks = fn(&Fleet) -> Option<String>;

fn main() {
    let mut arguments = Arguments::from_args();
    // An emulated guest keeps a processor busy: more at once only makes each slower.
    arguments.test_threads.get_or_insert(2);
    let kept = harness::fleet::kept_directory();
    let credential = kept.join("credential");
    std::fs::write(&credential, "s3cret").expect("the test directory can be written");
    let tree = kept.join("tree");
    let text = TEXT
        .replace("@credential@", &credential.display().to_string())
        .replace("@tree@", &tree.display().to_string());
    let fleet = Arc::new(Fleet::new(&text).expect("the test directory can be written"));
    let tests: Vec<(&str, Test)> = vec![
        (
            "full_guest_keeps_shares_forwards_and_stops",
            full::everything,
        ),
        ("q35_machine", roots::q35),
        ("console_logs_in", roots::console),
        ("squashfs_store_disk", roots::squashfs),
        ("root_off_virtiofs", roots::virtiofs),
        ("root_off_9p", roots::nine_p),
        ("directory_guest", roots::directory),
        ("ten_boots_in_a_row_a", boots::a),
        ("ten_boots_in_a_row_b", boots::b),
        ("around_a_run", lifecycle::around_a_run),
        ("host_in_a_vm", nested::answers_and_stops),
    ];
    let aarch64 = trial("aarch64_guest", foreign::aarch64, foreign::lacks, &fleet);
    let deployed = trial(
        "deployed_guest_comes_up_and_lets_its_host_in",
        deployed::comes_up_and_lets_its_host_in,
        deployed::lacks,
        &fleet,
    );
    let top = trial(
        "top_shows_starts_and_stops",
        top::shows_starts_and_stops,
        top::lacks,
        &fleet,
    );
    let trials = tests
        .into_iter()
        .map(|(name, test)| trial(name, test, |_| None, &fleet))
        .chain([deployed, top, aarch64])
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Removes its directory: `exit` runs no destructors.
    drop(Arc::into_inner(fleet));
    conclusion.exit();
}

fn trial(name: &'static str, test: Test, lacks: Lacks, fleet: &Arc<Fleet>) -> Trial {
    let fleet = Arc::clone(fleet);
    Trial::ignorable_test(name, move || {
        if let Some(why) = skip_reason().or_else(|| lacks(&fleet)) {
            println!("skipped: {name}: {why}");
            return Ok(Completion::ignored_with(why));
        }
        test(&fleet)
            .map(|()| Completion::Completed)
            .map_err(|failure| failure.to_string().into())
    })
}

fn skip_reason() -> Option<String> {
    ["qemu-system-x86_64", "mmdebstrap", "mkfs.erofs", "ssh"]
        .into_iter()
        .find_map(harness::host::lacks)
}
