//! 9p and virtiofs shares, the implicit one of the root among them.

use std::path::Path;

use spec::vm::{Access, RootShare, SecurityModel, Share, ShareProto};

use super::Context;
use crate::args::{Args, Opts};
use crate::root_share;

pub(super) fn push(context: &Context, args: &mut Args) {
    root(context, args);
    for (index, share) in context.vm.shares.iter().enumerate() {
        let id = format!("fs{index}");
        match &share.proto {
            ShareProto::NineP { security_model } => {
                nine_p(
                    context,
                    args,
                    &id,
                    &fsdev(share, *security_model),
                    &share.tag,
                );
            }
            ShareProto::Virtiofs { socket, .. } => {
                virtiofs(context, args, &id, socket, &share.tag);
            }
        }
    }
}

fn root(context: &Context, args: &mut Args) {
    match (root_share::proto(context.vm), &context.guest.root_tree) {
        (Some(RootShare::NineP), Some(tree)) => {
            let fsdev = Fsdev {
                source: tree,
                model: "none",
                access: Access::ReadOnly,
            };
            nine_p(context, args, "root", &fsdev, root_share::TAG);
        }
        (Some(RootShare::Virtiofs), _) => {
            let socket = root_share::socket(context.vm);
            virtiofs(context, args, "root", &socket, root_share::TAG);
        }
        _ => {}
    }
}

struct Fsdev<'a> {
    source: &'a Path,
    model: &'static str,
    access: Access,
}

fn fsdev(share: &Share, model: SecurityModel) -> Fsdev<'_> {
    Fsdev {
        source: &share.source,
        model: match model {
            SecurityModel::Passthrough => "passthrough",
            SecurityModel::None => "none",
            SecurityModel::Mapped => "mapped-xattr",
            SecurityModel::MappedFile => "mapped-file",
        },
        access: share.access,
    }
}

fn nine_p(context: &Context, args: &mut Args, id: &str, fsdev: &Fsdev, tag: &str) {
    let local = Opts::new("local")
        .set("id", id)
        .path("path", fsdev.source)
        .set("security_model", fsdev.model)
        // Inode numbers of several file systems below the source do not collide.
        .set("multidevs", "remap")
        .set_if(fsdev.access == Access::ReadOnly, "readonly", "on");
    args.pair("-fsdev", local);
    let device = context.bus.device("virtio-9p");
    args.pair("-device", device.set("fsdev", id).set("mount_tag", tag));
}

fn virtiofs(context: &Context, args: &mut Args, id: &str, socket: &Path, tag: &str) {
    let chardev = Opts::new("socket").set("id", id).path("path", socket);
    args.pair("-chardev", chardev);
    let device = context.bus.device("vhost-user-fs");
    args.pair("-device", device.set("chardev", id).set("tag", tag));
}
