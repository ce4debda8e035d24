//! Wrong definitions: what is said of each, and where.

use std::fs;
use std::path::{Path, PathBuf};

use spec::read::{HostDefaults, Problems, Source, parse_json, parse_toml};
use spec::vm::Arch;

const HOST: HostDefaults = HostDefaults {
    arch: Arch::X86_64,
    mem_mib: Some(16384),
    cpus: Some(4),
};

fn files(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(directory);
    let entries = fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn problems_of(path: &Path, text: &str) -> Problems {
    let is_json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let source = Source {
        file: if is_json {
            "microvm.json"
        } else {
            "microvm.toml"
        },
        base_dir: Path::new("/base"),
        host: HOST,
    };
    let parsed = match is_json {
        true => parse_json(&source, text),
        false => parse_toml(&source, text),
    };
    match parsed {
        Ok(_) => panic!("`{}` is taken", path.display()),
        Err(problems) => problems,
    }
}

/// The whole of what is said.
#[rstest::rstest]
#[case("wrong", 60)]
#[case("places", 90)]
fn messages(#[case] directory: &str, #[case] at_least: usize) {
    let files = files(directory);
    assert!(files.len() >= at_least);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let name = name.strip_suffix(".toml").unwrap_or(name);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(format!("snapshots/{directory}"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, problems_of(&file, &text)));
    }
}

/// In `places/` a comment `# <- a, b` names the options of which its line has a problem (`-`:
/// of none in particular). There are these and no others.
#[test]
fn places() {
    let mut differences = Vec::new();
    for file in files("places") {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let (found, wanted) = (found(&problems_of(&file, &text)), wanted(&text));
        if found != wanted {
            differences.push(format!("{name}: found {found:?}, wanted {wanted:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn found(problems: &Problems) -> Vec<(usize, String)> {
    let mut found: Vec<_> = problems
        .iter()
        .map(|problem| (problem.line, problem.option.clone().unwrap_or("-".into())))
        .collect();
    found.sort();
    found
}

fn wanted(text: &str) -> Vec<(usize, String)> {
    let mut wanted = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((_, options)) = line.split_once("# <- ") else {
            continue;
        };
        let options = options.split(',').map(str::trim).filter(|o| !o.is_empty());
        wanted.extend(options.map(|option| (index + 1, option.to_owned())));
    }
    wanted.sort();
    wanted
}

/// What a definition says in confidence is in no message, whatever is wrong with it.
#[test]
fn secrets_are_not_repeated() {
    const SECRET: &str = "hunter2";
    let values = [
        format!("\"{SECRET}\\n\""),
        format!("[\"{SECRET}\"]"),
        format!("{{ {SECRET} = \"{SECRET}\" }}"),
        "777888777".to_owned(),
    ];
    for option in ["guest.rootPassword", "guest.users.ann.password"] {
        for value in &values {
            let text = format!("vm.web.{option} = {value}\n");
            let said = problems_of(Path::new("x.toml"), &text);
            let json = serde_json::to_string(&said).unwrap();
            for said in [said.to_string(), json] {
                let leaks = said.contains(SECRET) || said.contains("777888777");
                assert!(!leaks, "{said}");
            }
        }
    }
    let key = "vm.web.guest.sshKeys = [\"-----BEGIN OPENSSH PRIVATE KEY----- aGVsbG8\"]";
    let said = problems_of(Path::new("x.toml"), key).to_string();
    assert!(!said.contains("aGVsbG8"), "{said}");
}
