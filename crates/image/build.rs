//! Builds guest-init as static programs, to be embedded: for this program's own architecture, and
//! for the other one where the compiler has a target for it.
//!
//! A cargo of its own with a target directory of its own: the outer one holds the lock of its.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Those that guests can have.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];
const STATIC: [&str; 2] = ["-Ctarget-feature=+crt-static", "-Crelocation-model=static"];

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../..");
    for source in ["crates/guest-init", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
    let own = variable("CARGO_CFG_TARGET_ARCH");
    let out = PathBuf::from(variable("OUT_DIR"));
    for arch in ARCHITECTURES {
        let embedded = out.join(format!("guest-init-{arch}"));
        let program = if arch == own {
            let built = build(&root, &variable("TARGET"), &STATIC);
            Some(built.expect("guest-init did not build"))
        } else {
            given(arch).or_else(|| foreign(&root, arch))
        };
        // Nothing is in it where there is none; what needs it then says so.
        match program {
            Some(program) => std::fs::copy(&program, &embedded).map(|_| ()),
            None => std::fs::write(&embedded, ""),
        }
        .unwrap_or_else(|error| panic!("cannot embed guest-init for {arch}: {error}"));
    }
}

/// One that was built before, elsewhere or by another compiler.
fn given(arch: &str) -> Option<PathBuf> {
    let name = format!("MICROVM_GUEST_INIT_{}", arch.to_uppercase());
    println!("cargo:rerun-if-env-changed={name}");
    let program = env::var_os(&name).filter(|path| !path.is_empty())?;
    println!("cargo:rerun-if-changed={}", Path::new(&program).display());
    Some(program.into())
}

/// With the compiler's own linker and C library: the host needs no others.
fn foreign(root: &Path, arch: &str) -> Option<PathBuf> {
    let target = format!("{arch}-unknown-linux-musl");
    // Changed by `rustup target add`.
    let components = PathBuf::from(rustc(&["--print", "sysroot"])?).join("lib/rustlib/components");
    if components.is_file() {
        println!("cargo:rerun-if-changed={}", components.display());
    }
    let libraries = rustc(&["--print", "target-libdir", "--target", &target])?;
    if !Path::new(&libraries).is_dir() {
        return None;
    }
    let built = build(root, &target, &[STATIC[0], STATIC[1], "-Clinker=rust-lld"]);
    if built.is_none() {
        println!("cargo:warning=guest-init did not build for {target}: no guests of {arch}");
    }
    built
}

fn rustc(arguments: &[&str]) -> Option<String> {
    let output = Command::new(variable("RUSTC"))
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn build(root: &Path, target: &str, flags: &[&str]) -> Option<PathBuf> {
    let directory = PathBuf::from(variable("OUT_DIR")).join("guest");
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .current_dir(root)
        .args([
            "build",
            "--package",
            "guest-init",
            "--bin",
            "guest-init",
            "--profile",
            "guest",
            "--target",
            target,
        ])
        .env("CARGO_TARGET_DIR", &directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        // Set by clippy and by coverage tools for the outer build alone.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTFLAGS");
    let status = cargo.status().expect("cargo can be run again");
    let program = directory.join(target).join("guest/guest-init");
    status.success().then_some(program)
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
