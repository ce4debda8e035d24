//! The flake: its outputs, its guests that boot, flakes of others that use it, and flakes as sources
//! of the program.

mod boots;
mod consumers;
mod host;
mod migration;
mod sources;
mod their_host;
mod wrong;

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::nix::{Nix, said};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn with(words: &[&str], more: Vec<String>) -> Vec<String> {
    words
        .iter()
        .map(|word| (*word).to_owned())
        .chain(more)
        .collect()
}

fn nix(nix: &Nix, words: &[&str], more: Vec<String>) -> Command {
    let words = with(words, more);
    nix.nix(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A flake with one VM `web`, of a module.
fn one(own: &Nix, directory: &str, module: &str) -> String {
    let text = format!(
        r#"{{
  inputs.microvm.url = "microvm";
  inputs.microvm.inputs.nixpkgs.follows = "nixpkgs";
  outputs = {{ self, nixpkgs, microvm }}: {{
    nixosConfigurations.web = nixpkgs.lib.nixosSystem {{
      system = "x86_64-linux";
      modules = [ microvm.nixosModules.microvm {{ networking.hostName = "web"; system.stateVersion = nixpkgs.lib.trivial.release; }} ({{ config, lib, pkgs, ... }}: {{ {module} }}) ];
    }};
  }};
}}
"#
    );
    let file = own.write(&format!("{directory}/flake.nix"), &text);
    file.parent().expect("it has one").display().to_string()
}

#[test]
fn generated_files_are_up_to_date() {
    for (verb, file) in [
        ("table", "nix/options/table.json"),
        ("handbook", "docs/options.md"),
    ] {
        let mut command = Command::new(harness::host::microvm());
        command.args(["nix", verb]);
        let written = std::fs::read_to_string(repository().join(file)).expect("it is there");
        assert!(
            said(command) == written,
            "`microvm nix {verb}` gives another `{file}`"
        );
    }
}

#[test]
fn outputs_are_shown() {
    let Some(own) = Nix::new() else { return };
    let shown = said(nix(
        &own,
        &["flake", "show", "--json", &own.flake()],
        own.nixpkgs(),
    ));
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("it is JSON");
    let has = |path: &str| {
        assert!(
            !shown.pointer(path).is_none_or(serde_json::Value::is_null),
            "no {path}"
        )
    };
    ["microvm", "host", "microvm-options"]
        .into_iter()
        .for_each(|module| has(&format!("/nixosModules/{module}")));
    for system in ["x86_64-linux", "aarch64-linux"] {
        ["microvm", "build-microvm", "doc"]
            .into_iter()
            .for_each(|package| has(&format!("/packages/{system}/{package}")));
        for hypervisor in [
            "qemu",
            "cloud-hypervisor",
            "firecracker",
            "crosvm",
            "kvmtool",
            "stratovirt",
            "alioth",
        ] {
            for ending in ["example", "example-with-tap"] {
                has(&format!("/packages/{system}/{hypervisor}-{ending}"));
                has(&format!(
                    "/nixosConfigurations/{system}-{hypervisor}-{ending}"
                ));
            }
        }
        ["vm", "qemu-vnc", "graphics", "waypipe-client"]
            .into_iter()
            .for_each(|app| has(&format!("/apps/{system}/{app}")));
        has(&format!("/checks/{system}/boots-from-store-disk"));
    }
    has("/packages/aarch64-darwin/microvm");
    [
        "/templates/microvm",
        "/templates/default",
        "/overlays/default",
        "/lib",
    ]
    .into_iter()
    .for_each(has);
}

#[test]
fn packages_of_the_flake_build() {
    let Some(own) = Nix::new() else { return };
    let flake = own.flake();
    let of = |name: &str| format!("{flake}#{name}");
    let names = [
        "doc",
        "build-microvm",
        "firecracker-example",
        "crosvm-example-with-tap",
        "alioth-example",
    ]
    .map(of);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    said(nix(
        &own,
        &[&["build", "--no-link"], &names[..]].concat(),
        own.nixpkgs(),
    ));
}

#[test]
fn programs_of_the_flake_evaluate() {
    let Some(own) = Nix::new() else { return };
    for app in ["vm", "qemu-vnc", "graphics", "waypipe-client"] {
        let app = format!("{}#apps.x86_64-linux.{app}.program", own.flake());
        let program = said(nix(&own, &["eval", "--raw", &app], own.nixpkgs()));
        assert!(program.starts_with("/nix/store/"), "{program}");
    }
}
