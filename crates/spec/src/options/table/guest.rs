//! What is in a guest that is built here.

use crate::options::form::Form;
use crate::options::{Default, Opt, Type, opt};

const PASSWORD: Type = Type::Text(Form::Secret);
const KEYS: Type = Type::List(&Type::Text(Form::SshKey));

pub const OPTIONS: &[Opt] = &[
    opt(
        "guest.debian",
        Type::Table,
        Default::Computed("a Debian stable, where nothing else is given"),
        "{ packages = [\"curl\"] }",
        "Builds the guest from Debian packages.",
    )
    .or_null(),
    opt(
        "guest.debian.suite",
        Type::Text(Form::Suite),
        Default::Text("stable"),
        "\"trixie\"",
        "Release that the packages come from.",
    ),
    opt(
        "guest.debian.packages",
        Type::List(&Type::Text(Form::Package)),
        Default::List(&[]),
        "[\"nginx\"]",
        "Packages beyond those that every guest has: systemd, udev, dbus, openssh-server, iproute2.",
    ),
    opt(
        "guest.debian.mirror",
        Type::Text(Form::Url),
        Default::Null,
        "\"https://mirror.example/debian\"",
        "Archive to take the packages from; by default that of the host's own apt.",
    ),
    opt(
        "guest.directory",
        Type::Text(Form::HostPath),
        Default::Null,
        "\"./rootfs\"",
        "A root tree of your own in place of Debian, beside the definition file where it is relative.",
    ),
    opt(
        "guest.users",
        Type::Map {
            keys: Form::UserName,
            values: &Type::Table,
        },
        Default::EmptyTable,
        "{ ann = { uid = 1000 } }",
        "Users that the guest has beside root.",
    ),
    opt(
        "guest.users.<name>.uid",
        Type::Int {
            min: 1,
            max: 4_294_967_293,
        },
        Default::Null,
        "1000",
        "Number of the user; the next free one from 1000 by default.",
    ),
    opt(
        "guest.users.<name>.groups",
        Type::List(&Type::Text(Form::UserName)),
        Default::List(&[]),
        "[\"sudo\"]",
        "Groups that the user is in beside the one of its own.",
    ),
    opt(
        "guest.users.<name>.shell",
        Type::Text(Form::GuestPath),
        Default::Null,
        "\"/bin/bash\"",
        "The user's shell; what the guest gives new users by default.",
    ),
    opt(
        "guest.users.<name>.password",
        PASSWORD,
        Default::Null,
        "\"$y$j9T$...\"",
        "Password in clear or hashed as in crypt(5). Empty lets the user in without one; without the option no password does.",
    ),
    opt(
        "guest.users.<name>.sshKeys",
        KEYS,
        Default::List(&[]),
        "[\"ssh-ed25519 AAAA... ann@host\"]",
        "Public keys that let the user in over SSH.",
    ),
    opt(
        "guest.rootPassword",
        PASSWORD,
        Default::Null,
        "\"\"",
        "Password of root, as for users. Without the option root cannot log in with a password.",
    ),
    opt(
        "guest.sshKeys",
        KEYS,
        Default::List(&[]),
        "[\"ssh-ed25519 AAAA... you@host\"]",
        "Public keys that let root in over SSH.",
    ),
    opt(
        "guest.autologin",
        Type::Text(Form::UserName),
        Default::Null,
        "\"root\"",
        "User that is logged in on the console without being asked.",
    ),
    opt(
        "guest.files",
        Type::Map {
            keys: Form::GuestPath,
            values: &Type::Table,
        },
        Default::EmptyTable,
        "{ \"/etc/motd\" = { text = \"Hello\" } }",
        "Files to put into the guest, by their path there.",
    ),
    opt(
        "guest.files.<path>.text",
        Type::Text(Form::Lines),
        Default::Null,
        "\"Hello\\n\"",
        "The file's content.",
    ),
    opt(
        "guest.files.<path>.source",
        Type::Text(Form::HostPath),
        Default::Null,
        "\"./motd\"",
        "File on the host with the content, beside the definition file where it is relative.",
    ),
    opt(
        "guest.files.<path>.mode",
        Type::Text(Form::FileMode),
        Default::Text("0644"),
        "\"0600\"",
        "Permission bits in octal.",
    ),
    opt(
        "guest.files.<path>.owner",
        Type::Text(Form::Owner),
        Default::Text("root"),
        "\"ann:users\"",
        "User, or user and group, that own the file.",
    ),
    opt(
        "guest.enable",
        Type::Either(&[Type::List(&Type::Text(Form::Unit)), Type::Bool]),
        Default::Bool(true),
        "[\"nginx.service\"]",
        "Units that the guest starts. On the Nix side a boolean: whether the guest's configuration is added to.",
    ),
    opt(
        "guest.storeClosure",
        Type::Text(Form::AbsolutePath),
        Default::Null,
        "\"/nix/store/...-closure-info/store-paths\"",
        "File that names the guest's own store paths, one a line. A virtiofs share of /nix/store then shows the guest these alone.",
    ),
    opt(
        "guest.network",
        Type::OneOf(&["dhcp", "none"]),
        Default::Text("dhcp"),
        "\"none\"",
        "`dhcp` configures every interface by DHCP and router advertisements; `none` leaves them to the guest's own files.",
    ),
    opt(
        "guest.run",
        Type::List(&Type::Text(Form::Lines)),
        Default::List(&[]),
        "[\"systemctl mask apt-daily.timer\"]",
        "Shell commands that are run in the guest's files when it is built.",
    ),
    opt(
        "guest.arch",
        Type::OneOf(&["x86_64", "aarch64"]),
        Default::Computed("that of the host"),
        "\"aarch64\"",
        "Processor architecture of the guest.",
    ),
    opt(
        "guest.rootShare",
        Type::OneOf(&["virtiofs", "9p"]),
        Default::Computed("virtiofs"),
        "\"9p\"",
        "How the guest's files reach it where `storeOnDisk` is false.",
    ),
];
