use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::*;

fn volume(image: PathBuf, size_mib: u64) -> Volume {
    Volume {
        image,
        mount_point: Some("/var".into()),
        fs_type: "ext4".into(),
        label: Some("data".into()),
        serial: None,
        access: Access::ReadWrite,
        direct: false,
        create: Create::Auto {
            size_mib,
            mkfs_extra_args: vec!["-m".into(), "0".into()],
        },
        image_type: ImageType::Raw,
    }
}

/// `false`, and said, where a program is missing.
fn has(program: &str) -> bool {
    let found = crate::program::find(program).is_ok();
    if !found {
        println!("skipped: `{program}` is not installed");
    }
    found
}

fn tool(program: &str, args: &[&str], image: &Path) -> (bool, String) {
    let path = crate::program::find(program).unwrap();
    let output = Command::new(path).args(args).arg(image).output().unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn ext_size(image: &Path) -> u64 {
    match content::of(&std::fs::File::open(image).unwrap()).unwrap() {
        content::Content::Ext { bytes } => bytes / MIB,
        other => panic!("{other:?}"),
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn created_sparse_labelled_and_left_alone_then() {
    if !has("mkfs.ext4") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let wanted = volume(dir.path().join("var.img"), 64);
    let notes = prepare(&wanted).unwrap();
    assert!(
        matches!(&notes[..], [Note::Created { size_mib: 64, .. }]),
        "{notes:?}"
    );
    let meta = wanted.image.metadata().unwrap();
    assert_eq!(meta.len(), 64 * MIB);
    assert!(meta.blocks() * 512 < 32 * MIB, "not sparse");
    assert_eq!(meta.mode() & 0o777, 0o600);
    assert_eq!(names(dir.path()), ["var.img"]);
    assert!(tool("e2fsck", &["-f", "-n"], &wanted.image).0);
    let (_, label) = tool("blkid", &["-o", "value", "-s", "LABEL"], &wanted.image);
    assert_eq!(label.trim(), "data");
    let before = std::fs::read(&wanted.image).unwrap();
    assert_eq!(prepare(&wanted).unwrap(), []);
    assert!(before == std::fs::read(&wanted.image).unwrap());
}

#[test]
fn grown_with_its_file_system_and_never_shrunk() {
    if !has("mkfs.ext4") || !has("debugfs") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("var.img");
    prepare(&volume(image.clone(), 32)).unwrap();
    std::fs::write(dir.path().join("content"), "kept").unwrap();
    let write = format!("write {} kept", dir.path().join("content").display());
    assert!(tool("debugfs", &["-w", "-R", &write], &image).0);
    let notes = prepare(&volume(image.clone(), 96)).unwrap();
    assert_eq!(
        notes,
        [Note::Grown {
            image: image.clone(),
            size_mib: 96
        }]
    );
    assert_eq!(
        (image.metadata().unwrap().len() / MIB, ext_size(&image)),
        (96, 96)
    );
    assert!(tool("e2fsck", &["-f", "-n"], &image).0);
    assert_eq!(tool("debugfs", &["-R", "cat kept"], &image).1, "kept");
    let notes = prepare(&volume(image.clone(), 40)).unwrap();
    assert!(matches!(
        &notes[..],
        [Note::StaysLarger {
            is_mib: 96,
            size_mib: 40,
            ..
        }]
    ));
    assert_eq!(ext_size(&image), 96);
}

#[test]
fn an_interrupted_growing_is_finished() {
    if !has("mkfs.ext4") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("var.img");
    prepare(&volume(image.clone(), 32)).unwrap();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&image)
        .unwrap();
    file.set_len(96 * MIB).unwrap();
    assert!(!prepare(&volume(image.clone(), 96)).unwrap().is_empty());
    assert_eq!(ext_size(&image), 96);
    assert_eq!(prepare(&volume(image, 96)).unwrap(), []);
}

#[test]
fn data_and_blank_files_are_never_formatted() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("var.img");
    std::fs::write(&image, "my own data").unwrap();
    prepare(&volume(image.clone(), 1)).unwrap();
    let now = std::fs::read(&image).unwrap();
    assert!(now.starts_with(b"my own data") && now[11..].iter().all(|byte| *byte == 0));
    let blank = dir.path().join("blank.img");
    std::fs::write(&blank, "").unwrap();
    let notes = prepare(&volume(blank.clone(), 1)).unwrap();
    assert!(notes.contains(&Note::Blank {
        image: blank.clone(),
        fs_type: "ext4".into()
    }));
    assert!(std::fs::read(&blank).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn what_must_be_there_is_not_created() {
    let dir = tempfile::tempdir().unwrap();
    let mut wanted = volume(dir.path().join("var.img"), 8);
    wanted.access = Access::ReadOnly;
    let refused = |volume: &Volume| prepare(volume).unwrap_err().kind();
    assert_eq!(refused(&wanted), Kind::NotFound);
    wanted.access = Access::ReadWrite;
    wanted.create = Create::Never;
    assert_eq!(refused(&wanted), Kind::NotFound);
    assert_eq!(
        refused(&volume("/dev/microvm-no-such-disk".into(), 8)),
        Kind::NotFound
    );
    let nowhere = volume(dir.path().join("no/var.img"), 8);
    let error = prepare(&nowhere).unwrap_err();
    assert!(matches!(error, Error::NoDirectory { .. }), "{error}");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn links_are_followed_where_they_are_ones_own() {
    if !has("mkfs.ext4") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (link, target) = (dir.path().join("var.img"), dir.path().join("real.img"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert!(matches!(
        prepare(&volume(link.clone(), 8)),
        Err(Error::Dangling { .. })
    ));
    prepare(&volume(target, 8)).unwrap();
    assert_eq!(prepare(&volume(link.clone(), 8)).unwrap(), []);
    if !crate::user::is_root() {
        println!("skipped: a link of another user needs root");
        return;
    }
    std::os::unix::fs::lchown(&link, Some(1234), Some(1234)).unwrap();
    assert!(matches!(
        prepare(&volume(link, 8)),
        Err(Error::ForeignLink { .. })
    ));
}

#[test]
fn a_file_system_without_its_program_names_the_package() {
    let dir = tempfile::tempdir().unwrap();
    let mut wanted = volume(dir.path().join("var.img"), 8);
    wanted.fs_type = "bcachefs".into();
    if crate::program::find("mkfs.bcachefs").is_ok() {
        println!("skipped: mkfs.bcachefs is installed");
        return;
    }
    let error = prepare(&wanted).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("bcachefs-tools"), "{source}");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn what_mkfs_refuses_leaves_nothing() {
    if !has("mkfs.ext4") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut wanted = volume(dir.path().join("var.img"), 8);
    wanted.create = Create::Auto {
        size_mib: 8,
        mkfs_extra_args: vec!["-b".into(), "17".into()],
    };
    let error = prepare(&wanted).unwrap_err();
    assert!(error.to_string().contains("mkfs.ext4"), "{error}");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_full_disk_leaves_nothing() {
    if !has("mkfs.ext4") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let flags = nix::mount::MsFlags::empty();
    let options = Some("size=64k");
    if let Err(error) = nix::mount::mount(Some("tiny"), dir.path(), Some("tmpfs"), flags, options) {
        println!("skipped: a small tmpfs cannot be mounted: {error}");
        return;
    }
    let result = prepare(&volume(dir.path().join("var.img"), 64));
    let left = names(dir.path());
    // A child of another test may still hold what it was forked with: detached, not waited for.
    nix::mount::umount2(dir.path(), nix::mount::MntFlags::MNT_DETACH).unwrap();
    let error = result.unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert_eq!(error.kind(), Kind::Storage);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_image_in_use_is_not_grown() {
    if !has("mkfs.ext4") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("var.img");
    prepare(&volume(image.clone(), 16)).unwrap();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&image)
        .unwrap();
    let lock = image_lock::ImageLock::take(&file, &image).unwrap();
    assert!(matches!(
        prepare(&volume(image.clone(), 32)),
        Err(Error::InUse { .. })
    ));
    assert_eq!(ext_size(&image), 16);
    drop(lock);
    prepare(&volume(image.clone(), 32)).unwrap();
    assert_eq!(ext_size(&image), 32);
}

#[rstest::rstest]
#[case(ImageType::Qcow2)]
#[case(ImageType::Vhd)]
#[case(ImageType::Vhdx)]
fn other_formats(#[case] kind: ImageType) {
    if !has("mkfs.ext4") || !has("qemu-img") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut wanted = volume(dir.path().join("var.disk"), 32);
    wanted.image_type = kind;
    prepare(&wanted).unwrap();
    assert_eq!(names(dir.path()), ["var.disk"]);
    assert_eq!(prepare(&wanted).unwrap(), []);
    let raw = dir.path().join("raw");
    let from = if kind == ImageType::Vhd {
        "vpc"
    } else if kind == ImageType::Vhdx {
        "vhdx"
    } else {
        "qcow2"
    };
    let done = Command::new("qemu-img")
        .args(["convert", "-f", from, "-O", "raw"])
        .args([&wanted.image, &raw])
        .status();
    assert!(done.unwrap().success());
    assert!(tool("e2fsck", &["-f", "-n"], &raw).0);
    wanted.create = Create::Auto {
        size_mib: 64,
        mkfs_extra_args: Vec::new(),
    };
    let notes = prepare(&wanted).unwrap();
    match kind {
        ImageType::Qcow2 => assert!(matches!(
            &notes[..],
            [Note::GrowInGuest { size_mib: 64, .. }]
        )),
        _ => assert!(
            matches!(&notes[..], [Note::CannotGrow { size_mib: 64, .. }]),
            "{notes:?}"
        ),
    }
}
