//! Wrong definitions, and what is said of each.

use std::path::Path;

use spec::read::{HostDefaults, Source, parse_toml};
use spec::vm::Arch;

const HOST: HostDefaults = HostDefaults {
    arch: Arch::X86_64,
    mem_mib: Some(16384),
    cpus: Some(4),
};

#[test]
fn every_wrong_definition_is_refused() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    assert!(files.len() >= 45);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let source = Source {
            file: "microvm.toml",
            base_dir: Path::new("/base"),
            host: HOST,
        };
        let problems = match parse_toml(&source, &text) {
            Ok(_) => panic!("`{name}` is taken"),
            Err(problems) => problems,
        };
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("snapshots/wrong");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, problems));
    }
}
