//! The guest that is built here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Built, missing, words};
use crate::guest::{Debian, File, FileContent, Guest, GuestSource, Oci, OciImage, User};
use crate::options::form;
use crate::read::{Definition, View};

pub fn guest(definition: &Definition<'_>) -> Built<Guest> {
    let vm = definition.vm;
    Ok(Guest {
        source: source(definition)?,
        root_password: vm.string("guest.rootPassword"),
        ssh_keys: vm.strings("guest.sshKeys"),
        users: vm
            .members("guest.users")
            .map(|(name, view)| (name.to_owned(), user(view)))
            .collect(),
        autologin: vm.string("guest.autologin"),
        files: files(definition)?,
        enable: vm.strings("guest.enable"),
        network: words::word(vm, "guest.network")?,
        run: vm.strings("guest.run"),
    })
}

fn source(definition: &Definition<'_>) -> Built<GuestSource> {
    let vm = definition.vm;
    if let Some(directory) = vm.text("guest.directory") {
        return Ok(GuestSource::Directory(definition.beside(directory)));
    }
    if let Some(image) = vm.text("guest.oci") {
        let image = OciImage::parse(image, |path| definition.beside(path));
        return Ok(GuestSource::Oci(Oci {
            image: image.ok_or_else(|| missing("guest.oci"))?,
            tls_verify: vm.bool("guest.ociTlsVerify"),
            init: words::word(vm, "guest.ociInit")?,
        }));
    }
    if definition.is_given() {
        return Ok(GuestSource::Given {
            store_disk: vm.path("storeDisk"),
        });
    }
    Ok(GuestSource::Debian(Debian {
        suite: vm.string("guest.debian.suite").unwrap_or_default(),
        packages: vm.strings("guest.debian.packages"),
        mirror: vm.string("guest.debian.mirror"),
    }))
}

fn user(user: View<'_>) -> User {
    User {
        uid: user.unsigned("uid").and_then(|uid| uid.try_into().ok()),
        groups: user.strings("groups"),
        shell: user.path("shell"),
        password: user.string("password"),
        ssh_keys: user.strings("sshKeys"),
    }
}

fn files(definition: &Definition<'_>) -> Built<BTreeMap<PathBuf, File>> {
    let members = definition.vm.members("guest.files");
    members
        .map(|(path, view)| Ok((path.into(), file(definition, view)?)))
        .collect()
}

fn file(definition: &Definition<'_>, file: View<'_>) -> Built<File> {
    let content = match (file.text("text"), file.text("source")) {
        (Some(text), _) => FileContent::Text(text.to_owned()),
        (None, Some(source)) => FileContent::Source(definition.beside(source)),
        (None, None) => return Err(missing("guest.files")),
    };
    let mode = file.text("mode").and_then(form::file_mode);
    Ok(File {
        content,
        mode: mode.ok_or_else(|| missing("guest.files"))?,
        owner: file.string("owner").ok_or_else(|| missing("guest.files"))?,
    })
}
