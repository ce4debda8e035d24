//! Guests that were built elsewhere: kernel and initrd are the user's own.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::path::Path;

use image::{Error, Kind};
use spec::guest::GuestSource;
use spec::vm::{Arch, Hypervisor, Kernel};
use support::*;

/// Enough of an ELF image for x86_64.
fn elf() -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[..6].copy_from_slice(b"\x7fELF\x02\x01");
    image[18] = 62;
    image
}

/// A guest of this kernel, for a hypervisor that unpacks none.
fn given(dir: &Path, kernel: &[u8]) -> spec::Vm {
    let (image, initrd) = (dir.join("kernel"), dir.join("initrd"));
    fs::write(&image, kernel).unwrap();
    fs::write(&initrd, "initrd").unwrap();
    let mut vm = vm(guest(GuestSource::Given { store_disk: None }));
    vm.boot.kernel = Kernel::Path(image);
    vm.boot.initrd = Some(initrd);
    vm.hypervisor = Hypervisor::Firecracker;
    vm
}

fn gzip(content: &[u8]) -> Option<Vec<u8>> {
    if !have(&["gzip"]) {
        return None;
    }
    let mut input = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut input, content).unwrap();
    let mut gzip = std::process::Command::new("gzip");
    let packed = gzip.arg("-nc").arg(input.path()).output().unwrap();
    Some(packed.stdout)
}

#[test]
fn what_a_hypervisor_boots_is_taken_where_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(temp.path(), &temp.path().join("cache"));
    let vm = given(temp.path(), &elf());
    let built = bench.build(&vm).unwrap();
    assert_eq!(built.kernel, temp.path().join("kernel"));
    assert_eq!(built.initrd, temp.path().join("initrd"));
}

#[test]
fn a_packed_kernel_is_unpacked_once_and_kept() {
    let temp = tempfile::tempdir().unwrap();
    let Some(packed) = gzip(&elf()) else { return };
    let mut bench = Bench::new(temp.path(), &temp.path().join("cache"));
    let mut vm = given(temp.path(), &packed);
    let built = bench.build(&vm).unwrap();
    assert!(built.kernel.starts_with(bench.store().dir()));
    assert!(built.references.contains(&built.kernel));
    assert!(fs::read(&built.kernel).unwrap() == elf());
    assert_eq!(bench.build(&vm).unwrap(), built);
    // QEMU is given what is there, and looks at it itself.
    vm.hypervisor = Hypervisor::Qemu;
    assert_eq!(bench.build(&vm).unwrap().kernel, temp.path().join("kernel"));
    fs::write(
        temp.path().join("kernel"),
        gzip(&[elf(), elf()].concat()).unwrap(),
    )
    .unwrap();
    vm.hypervisor = Hypervisor::Firecracker;
    assert_ne!(bench.build(&vm).unwrap().kernel, built.kernel);
}

#[test]
fn another_file_is_refused_with_what_would_be_accepted() {
    let temp = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(temp.path(), &temp.path().join("cache"));
    let mut vm = given(temp.path(), b"#!/bin/sh\n");
    let error = bench.build(&vm).unwrap_err();
    let kernel = temp.path().join("kernel");
    assert_eq!(
        error.to_string(),
        format!(
            "Kernel `{}` cannot be made ready for firecracker on x86_64",
            kernel.display()
        )
    );
    assert_eq!(error.kind(), Kind::Definition);
    assert!(matches!(error, Error::Vmlinux { .. }));
    vm.arch = Arch::Aarch64;
    let source = std::error::Error::source(&bench.build(&vm).unwrap_err())
        .unwrap()
        .to_string();
    assert_eq!(
        source,
        "It is of no known kind (it begins with the bytes `23212f62696e2f73`); an `Image` for \
         arm64, packed (also as EFI zboot) or not, is accepted"
    );
    let left = fs::read_dir(bench.store().dir()).unwrap();
    let left = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        !name.to_string_lossy().starts_with('.')
    });
    assert_eq!(left.count(), 0);
}
