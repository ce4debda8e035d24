//! The store disk and the volumes.

use super::{ARGS, TABLES};
use crate::options::form::Form;
use crate::options::{Default, Opt, Type, opt};
use crate::vm::Hypervisor as H;

/// 64 TiB in MiB; beyond it somebody has counted bytes.
const SIZE_MAX: i64 = 64 * 1024 * 1024;

/// What host and guest have programs for; the label's limit of each is in `checks::volume`.
pub const FS_TYPES: &[&str] = &[
    "ext4", "ext3", "ext2", "xfs", "btrfs", "vfat", "fat", "msdos", "exfat", "f2fs", "bcachefs",
    "jfs", "nilfs2", "ntfs", "erofs", "squashfs", "iso9660",
];

pub const OPTIONS: &[Opt] = &[
    opt(
        "volumes",
        TABLES,
        Default::List(&[]),
        "[{ image = \"var.img\", mountPoint = \"/var\", size = 1024 }]",
        "Disks that keep their content. They are made and formatted at the first start, and grown where `size` grew.",
    ),
    opt(
        "volumes.*.image",
        Type::Text(Form::HostPath),
        Default::Required,
        "\"var.img\"",
        "The image's path; a relative one is in the state directory.",
    ),
    opt(
        "volumes.*.size",
        Type::Int {
            min: 1,
            max: SIZE_MAX,
        },
        Default::RequiredIf("where autoCreate is true"),
        "1024",
        "Size in MiB.",
    ),
    opt(
        "volumes.*.mountPoint",
        Type::Text(Form::GuestPath),
        Default::Null,
        "\"/var\"",
        "Where the guest mounts it; without one the guest sees the disk and leaves it alone.",
    ),
    opt(
        "volumes.*.fsType",
        Type::OneOf(FS_TYPES),
        Default::Text("ext4"),
        "\"xfs\"",
        "File system that the volume is formatted with and mounted as.",
    ),
    opt(
        "volumes.*.label",
        Type::Text(Form::Word),
        Default::Null,
        "\"data\"",
        "Label of the file system.",
    ),
    opt(
        "volumes.*.serial",
        Type::Text(Form::Serial),
        Default::Null,
        "\"data\"",
        "Serial number of the disk, under which the guest has it in /dev/disk/by-id.",
    )
    .on(&[
        H::Qemu,
        H::CloudHypervisor,
        H::Crosvm,
        H::Stratovirt,
        H::Vfkit,
    ]),
    opt(
        "volumes.*.readOnly",
        Type::Bool,
        Default::Bool(false),
        "true",
        "The guest cannot write to it.",
    ),
    opt(
        "volumes.*.direct",
        Type::Bool,
        Default::Bool(false),
        "true",
        "Bypasses the host's page cache.",
    )
    .on(&[
        H::Qemu,
        H::CloudHypervisor,
        H::Crosvm,
        H::Kvmtool,
        H::Stratovirt,
    ]),
    opt(
        "volumes.*.autoCreate",
        Type::Bool,
        Default::Bool(true),
        "false",
        "Makes the image where there is none; otherwise it must be there.",
    ),
    opt(
        "volumes.*.mkfsExtraArgs",
        ARGS,
        Default::List(&[]),
        "[\"-i\", \"4096\"]",
        "More arguments for the program that formats it.",
    ),
    opt(
        "volumes.*.imageType",
        Type::OneOf(&["raw", "qcow2", "vhd", "vhdx"]),
        Default::Text("raw"),
        "\"qcow2\"",
        "Format of the image.",
    ),
    opt(
        "storeOnDisk",
        Type::Bool,
        Default::Computed("true, unless a share has the source /nix/store"),
        "false",
        "Puts the guest's own files on a read-only disk image. Otherwise they come through a share with the tag `store`.",
    ),
    opt(
        "storeDiskType",
        Type::OneOf(&["squashfs", "erofs"]),
        Default::Computed("erofs"),
        "\"squashfs\"",
        "File system of the store disk: erofs is faster, squashfs smaller.",
    ),
    opt(
        "storeDiskErofsFlags",
        ARGS,
        Default::Computed("-zlz4hc, and what else the guest's kernel can read"),
        "[\"-zlz4\"]",
        "Arguments for `mkfs.erofs`, in place of the default ones.",
    ),
    opt(
        "storeDiskSquashfsFlags",
        ARGS,
        Default::List(&["-c", "zstd", "-j", "$NIX_BUILD_CORES"]),
        "[\"-c\", \"xz\"]",
        "Flags of a squashfs store disk as `gensquashfs` takes them, in place of the default ones.",
    ),
    opt(
        "writableStoreOverlay",
        Type::Text(Form::GuestPath),
        Default::Null,
        "\"/persist\"",
        "Where in the guest the changes to its own files are kept. They survive a restart where a volume is mounted there.",
    ),
    opt(
        "registerClosure",
        Type::Bool,
        Default::Computed("guest.enable"),
        "false",
        "Registers what is on the store disk in the guest's package database, where it has one.",
    ),
];
