//! The end of a boot that failed: what failed, what was there, and no silence.

use std::path::Path;
use std::process::Command;

/// What failed, in one sentence.
#[derive(Debug)]
pub struct Failure {
    message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure {
    pub fn new(message: String) -> Self {
        Self { message }
    }
}

/// Kernel parameter that asks for a shell where the boot failed.
const SHELL: &str = "microvm.shell";

/// Prints the failure and what was there, then leaves the VM.
pub fn end(failure: &Failure) -> ! {
    println!("\nmicrovm: {}", failure.message);
    println!("microvm: disks: {}", disks());
    println!("microvm: file systems: {}", file_systems());
    let parameters = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    println!("microvm: kernel parameters: {}", parameters.trim());
    if parameters.split_whitespace().any(|word| word == SHELL) {
        offer_shell();
    } else {
        println!("microvm: the kernel parameter `{SHELL}` gives a shell here");
    }
    crate::leave::give_up();
}

/// The guest's own: the initrd has none.
fn offer_shell() {
    for (root, shell) in [("/", "/bin/sh"), (crate::root::NEW_ROOT, "/bin/sh")] {
        if !Path::new(root).join(shell.trim_start_matches('/')).exists() {
            continue;
        }
        if nix::unistd::chroot(root).is_ok() && nix::unistd::chdir("/").is_ok() {
            println!("microvm: a shell of the guest; `exit` ends the VM");
            let _ = Command::new(shell).status();
            return;
        }
    }
    println!("microvm: there is no shell: the guest's root is not mounted");
}

/// `vda (120 MiB, serial store), vdb (64 MiB)`
pub fn disks() -> String {
    let mut found: Vec<String> = crate::device::disks()
        .iter()
        .map(ToString::to_string)
        .collect();
    found.sort();
    if found.is_empty() {
        "none".to_owned()
    } else {
        found.join(", ")
    }
}

fn file_systems() -> String {
    let text = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    names.join(" ")
}
