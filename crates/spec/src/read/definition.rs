//! One VM as written, with what several of its options say together.

use std::path::{Path, PathBuf};

use super::{HostDefaults, Source, View};
use crate::options::shape;
use crate::tree::Node;
use crate::vm::RootShare;

/// A VM being checked.
#[derive(Clone, Copy)]
pub struct Definition<'a> {
    pub name: &'a str,
    pub vm: View<'a>,
    pub host: HostDefaults,
    base_dir: &'a Path,
}

impl<'a> Definition<'a> {
    pub fn new(name: &'a str, node: &'a Node, source: &Source<'a>) -> Self {
        Self {
            name,
            vm: View::new(node, shape::vm()),
            host: source.host,
            base_dir: source.base_dir,
        }
    }

    /// A path that the build reads, made absolute.
    pub fn beside(&self, path: &str) -> PathBuf {
        self.base_dir.join(path.trim_start_matches("./"))
    }

    /// A kernel and an initrd of the user's own and no guest to build, as a NixOS guest has.
    pub fn is_given(&self) -> bool {
        let own_kernel = self
            .vm
            .text("kernel")
            .is_some_and(|kernel| kernel.contains('/'));
        let builds = ["guest.debian", "guest.directory", "guest.oci"]
            .iter()
            .any(|source| self.vm.is_set(source));
        own_kernel && self.vm.is_set("initrdPath") && !builds
    }

    /// How the root reaches the guest where it is on no disk.
    pub fn root_share(&self) -> Option<RootShare> {
        let nix_store = self
            .vm
            .items("shares")
            .find(|share| self.is_given() && share.text("source") == Some("/nix/store"));
        if self
            .vm
            .own_bool("storeOnDisk")
            .unwrap_or(nix_store.is_none())
        {
            return None;
        }
        let proto = self.vm.text("guest.rootShare");
        match proto.or_else(|| nix_store.and_then(|share| share.text("proto"))) {
            Some("9p") => Some(RootShare::NineP),
            _ => Some(RootShare::Virtiofs),
        }
    }

    /// `None`: the VM has no control socket.
    pub fn socket(&self) -> Option<String> {
        self.or_named("socket", ".sock")
    }

    pub fn graphics_socket(&self) -> Option<String> {
        let socket = self.or_named("graphics.socket", "-gpu.sock");
        socket.filter(|_| self.vm.bool("graphics.enable"))
    }

    /// The socket of a virtiofs share.
    pub fn share_socket(&self, share: View<'_>) -> Option<String> {
        let named = || {
            Some(format!(
                "{}-virtiofs-{}.sock",
                self.name,
                share.text("tag")?
            ))
        };
        match share.text("proto") {
            Some("virtiofs") => share.string("socket").or_else(named),
            _ => None,
        }
    }

    fn or_named(&self, option: &str, ending: &str) -> Option<String> {
        match self.vm.text(option) {
            Some(path) => Some(path.to_owned()),
            None if self.vm.at(option).is_written() => None,
            None => Some(format!("{}{ending}", self.name)),
        }
    }
}
