//! Builds guest-init as a static program, to be embedded.
//!
//! A cargo of its own with a target directory of its own: the outer one holds the lock of its.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../..");
    let out = PathBuf::from(variable("OUT_DIR"));
    for source in ["crates/guest-init", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
    let target = variable("TARGET");
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .current_dir(&root)
        .args([
            "build",
            "--package",
            "guest-init",
            "--bin",
            "guest-init",
            "--profile",
            "guest",
            "--target",
            &target,
        ])
        .env("CARGO_TARGET_DIR", out.join("guest"))
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            "-Ctarget-feature=+crt-static\u{1f}-Crelocation-model=static",
        )
        // Set by clippy and by coverage tools for the outer build alone.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTFLAGS");
    let status = cargo.status().expect("cargo can be run again");
    assert!(status.success(), "guest-init did not build");
    let built = out.join("guest").join(target).join("guest/guest-init");
    std::fs::copy(built, out.join("guest-init")).expect("guest-init was built");
}
