//! Holds the direction of dependencies: spec <- backend <- host <- cli; image beside them.

use std::collections::BTreeMap;
use std::path::Path;

/// What each crate may use of the others; nothing else.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("spec", &[]),
    ("guest-init", &[]),
    ("backend", &["spec"]),
    ("image", &["spec", "guest-init"]),
    ("host", &["spec", "backend", "guest-init"]),
    ("cli", &["spec", "backend", "image", "host"]),
];

#[test]
fn dependencies_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    let mut seen = 0;
    for entry in std::fs::read_dir(root.join("crates")).unwrap() {
        let directory = entry.unwrap().path();
        let name = directory.file_name().unwrap().to_str().unwrap().to_owned();
        let manifest = std::fs::read_to_string(directory.join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let may = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("`{name}` has no place in the architecture"));
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else {
                continue;
            };
            for other in dependencies
                .keys()
                .filter(|key| allowed.contains_key(key.as_str()))
            {
                assert!(
                    may.contains(&other.as_str()),
                    "`{name}` must not use `{other}`"
                );
            }
        }
        seen += 1;
    }
    assert_eq!(seen, ALLOWED.len());
}

#[test]
fn pure_crates_touch_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let forbidden = [
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "std::process",
        "std::env",
        "std::time",
        "use clap",
        "tokio",
    ];
    for name in ["spec", "backend"] {
        for file in sources(&root.join("crates").join(name).join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            for word in forbidden {
                assert!(!text.contains(word), "`{}` uses {word}", file.display());
            }
        }
    }
}

fn sources(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}
