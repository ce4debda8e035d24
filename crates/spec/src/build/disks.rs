//! Store, volumes, shares and the daemon that serves them.

use super::{Built, missing, named, words};
use crate::options::form;
use crate::read::{Definition, View};
use crate::vm::{Access, Create, Share, ShareProto, Store, StoreKind, Virtiofsd, Volume};

pub fn store(definition: &Definition<'_>) -> Store {
    let vm = definition.vm;
    let kind = match (definition.root_share(), vm.text("storeDiskType")) {
        (Some(proto), _) => StoreKind::Share(proto),
        (None, Some("squashfs")) => StoreKind::Squashfs {
            flags: vm.own_strings("storeDiskSquashfsFlags"),
        },
        (None, _) => StoreKind::Erofs {
            flags: vm.own_strings("storeDiskErofsFlags"),
        },
    };
    let guest_is_enabled = vm.own_bool("guest.enable").unwrap_or(true);
    Store {
        kind,
        writable_overlay: vm.path("writableStoreOverlay"),
        closure: vm.path("guest.storeClosure"),
        register_closure: vm.own_bool("registerClosure").unwrap_or(guest_is_enabled),
    }
}

pub fn volume(volume: View<'_>) -> Built<Volume> {
    let size = volume.unsigned("size");
    Ok(Volume {
        image: volume.path("image").ok_or_else(|| missing("volumes"))?,
        mount_point: volume.path("mountPoint"),
        fs_type: volume.string("fsType").ok_or_else(|| missing("volumes"))?,
        label: volume.string("label"),
        serial: volume.string("serial"),
        access: access(volume),
        direct: volume.bool("direct"),
        create: match volume.bool("autoCreate") {
            true => Create::Auto {
                size_mib: size.ok_or_else(|| missing("volumes"))?,
                mkfs_extra_args: volume.strings("mkfsExtraArgs"),
            },
            false => Create::Never,
        },
        image_type: words::word(volume, "imageType")?,
    })
}

pub fn share(definition: &Definition<'_>, share: View<'_>) -> Built<Share> {
    let tag = share.text("tag").ok_or_else(|| missing("shares"))?;
    Ok(Share {
        tag: named(tag, "shares")?,
        source: share.path("source").ok_or_else(|| missing("shares"))?,
        mount_point: share.path("mountPoint").ok_or_else(|| missing("shares"))?,
        access: access(share),
        proto: match definition.share_socket(share) {
            Some(socket) => ShareProto::Virtiofs {
                socket: socket.into(),
                cache: words::word(share, "cache")?,
                posix_acl: share.bool("posixAcl"),
                extra_args: share.strings("extraArgs"),
            },
            None => ShareProto::NineP {
                security_model: words::word(share, "securityModel")?,
            },
        },
    })
}

fn access(view: View<'_>) -> Access {
    match view.bool("readOnly") {
        true => Access::ReadOnly,
        false => Access::ReadWrite,
    }
}

pub fn virtiofsd(definition: &Definition<'_>) -> Built<Virtiofsd> {
    let vm = definition.vm;
    let as_number = vm
        .unsigned("virtiofsd.threadPoolSize")
        .and_then(|size| size.try_into().ok());
    let as_text = vm
        .text("virtiofsd.threadPoolSize")
        .and_then(form::threads)
        .flatten();
    Ok(Virtiofsd {
        program: vm
            .text("virtiofsd.package")
            .map(|path| definition.beside(path)),
        group: vm.string("virtiofsd.group"),
        thread_pool_size: as_number.or(as_text),
        inode_file_handles: words::optional_word(vm, "virtiofsd.inodeFileHandles")?,
        extra_args: vm.strings("virtiofsd.extraArgs"),
    })
}
