//! The table of options against those of MicroVM.nix, and against itself.

use std::collections::BTreeMap;
use std::path::Path;

use spec::options::{self, Default, Opt, Scope, Type};
use spec::read::{HostDefaults, Source, parse_toml};
use spec::vm::Arch;

const THEIRS: &str = include_str!("fixtures/options.tsv");

fn theirs() -> BTreeMap<&'static str, [&'static str; 2]> {
    THEIRS
        .lines()
        .filter_map(|line| line.strip_prefix("guest\tmicrovm."))
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            (columns[0], [columns[1], columns[2]])
        })
        .collect()
}

#[test]
fn every_option_of_theirs_is_known() {
    let known: Vec<&str> = options::all().map(|opt| opt.name).collect();
    let unknown: Vec<&str> = theirs()
        .into_keys()
        .filter(|name| !known.contains(name))
        .collect();
    assert_eq!(unknown, [] as [&str; 0]);
}

#[test]
fn what_is_ours_is_below_guest() {
    let theirs = theirs();
    let ours = options::all().filter(|opt| !theirs.contains_key(opt.name));
    let elsewhere: Vec<&str> = ours
        .map(|opt| opt.name)
        .filter(|name| !name.starts_with("guest."))
        .collect();
    assert_eq!(elsewhere, [] as [&str; 0]);
}

#[test]
fn defaults_and_null_are_theirs() {
    for (name, [kind, default]) in theirs() {
        let opt = options::find(name).unwrap();
        match opt.default {
            Default::Computed(_) => {
                assert!(default.starts_with("(computed") || default == "-", "{name}")
            }
            Default::Required => assert_eq!(default, "-", "{name}"),
            Default::RequiredIf(_) => assert_eq!(default, "-", "{name}"),
            // Theirs has to be given, and be null: TOML has no null.
            Default::Null if name == "volumes.*.mountPoint" => assert_eq!(default, "-"),
            value => assert_eq!(value.to_string(), default, "{name}"),
        }
        // Null package sets and the like are not looked at.
        if kind.starts_with("null or") {
            assert!(opt.nullable, "{name}");
        }
    }
}

#[test]
fn types_are_theirs() {
    for (name, [kind, _]) in theirs() {
        let opt = options::find(name).unwrap();
        let plain = kind.strip_prefix("null or ").unwrap_or(kind);
        let plain = plain.trim_start_matches('(').trim_end_matches(')');
        let same = match (plain, opt.kind) {
            // Ours takes a list of units as well.
            ("boolean", Type::Either(kinds)) => {
                name == "guest.enable" && kinds.contains(&Type::Bool)
            }
            ("boolean", kind) => kind == Type::Bool,
            (words, Type::OneOf(ours)) if words.starts_with("one of ") => {
                let theirs: Vec<&str> = words.split('"').skip(1).step_by(2).collect();
                let (mut theirs, mut ours) = (theirs, ours.to_vec());
                theirs.sort_unstable();
                ours.sort_unstable();
                theirs == ours
            }
            // Every file system that there are programs for.
            ("string", Type::OneOf(_)) => name == "volumes.*.fsType",
            (
                "string" | "non-empty string" | "absolute path" | "lines" | "package",
                Type::Text(_),
            ) => true,
            ("list of (submodule" | "list of submodule", Type::List(Type::Table)) => true,
            ("list of string", Type::List(Type::Text(_))) => true,
            ("open submodule of (JSON value" | "attribute set", Type::Json) => true,
            (text, Type::Int { min, .. }) if text.starts_with("positive") => min == 1,
            // The last number of the range is theirs; 0 is no port.
            (text, Type::Int { min, max }) if text.starts_with("16 bit") => {
                (min, max) == (1, 65535)
            }
            (text, Type::Int { min, .. }) if text.starts_with("unsigned") => min == 0,
            ("signed integer", Type::Int { .. }) => true,
            (
                text,
                Type::Map {
                    values: Type::Text(_),
                    ..
                },
            ) => text.starts_with("attribute set of "),
            (text, Type::Either([Type::Text(_), Type::Int { .. }])) => {
                text.starts_with("string or (unsigned integer")
            }
            (_, kind) => kind == Type::Anything && opt.scope == Scope::Nix,
        };
        assert!(same, "{name}: {kind}, and ours is {}", opt.kind);
    }
}

#[test]
fn names_are_there_once() {
    let mut names: Vec<&str> = options::all().map(|opt| opt.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn meanings_are_sentences() {
    for opt in options::all() {
        assert!(opt.meaning.ends_with('.'), "{}", opt.name);
    }
}

/// An example need not be a whole definition; its type and form are right.
#[test]
fn examples_are_accepted() {
    let source = Source {
        file: "x",
        base_dir: Path::new("/"),
        host: HostDefaults {
            arch: Arch::X86_64,
            mem_mib: None,
            cpus: None,
        },
    };
    for opt in options::all() {
        let path = opt
            .name
            .replace("<name>", "ann")
            .replace("<path>", "\"/a\"");
        let text = match path.split_once(".*.") {
            Some((list, member)) => format!("vm.web.{list} = [{{ {member} = {} }}]", opt.example),
            None => format!("vm.web.{path} = {}", opt.example),
        };
        let Err(problems) = parse_toml(&source, &text) else {
            continue;
        };
        let wrong = problems
            .iter()
            .find(|problem| problem.value.is_some() || problem.vm.is_none());
        assert_eq!(wrong.map(ToString::to_string), None, "{text}");
    }
}

#[test]
fn explained() {
    let text = |name: &str| options::find(name).unwrap().explained();
    insta::assert_snapshot!(
        [
            text("volumes.*.size"),
            text("socket"),
            text("hotplugMem"),
            text("runner")
        ]
        .join("\n\n")
    );
}

#[test]
fn as_a_table() {
    let some: Vec<&Opt> = options::below("vfkit").collect();
    insta::assert_snapshot!(options::table(&some));
}

#[test]
fn schema_knows_every_option() {
    let schema = spec::schema();
    let vm = &schema["properties"]["vm"]["additionalProperties"];
    assert_eq!(vm["properties"]["mem"]["default"], 512);
    assert_eq!(
        vm["properties"]["volumes"]["items"]["required"],
        serde_json::json!(["image"])
    );
    for opt in options::all() {
        let mut place = vm;
        for part in opt.name.split('.') {
            place = match part {
                "*" => &place["items"],
                _ if part.starts_with('<') => &place["additionalProperties"],
                _ => match &place["properties"] {
                    serde_json::Value::Null => &place["anyOf"][0]["properties"][part],
                    properties => &properties[part],
                },
            };
        }
        assert_eq!(place["description"], opt.meaning, "{}", opt.name);
    }
}
