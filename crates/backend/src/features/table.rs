//! The feature table: one row a feature, one column a hypervisor.

use spec::vm::Hypervisor;

use super::{HYPERVISORS, Support};
use crate::plan::Version;

use Support::{No as N, Yes as Y};

const fn since(major: u32, minor: u32) -> Support {
    Support::Since(Version(major, minor, 0))
}

/// Makes [`Feature`] and its rows from one declaration: variant, name for people, options that
/// ask for it, and the columns in the order of [`HYPERVISORS`].
macro_rules! features {
    ($($variant:ident $title:literal [$($option:literal),*] [$($cell:expr),*];)*) => {
        /// Something that some hypervisors can do and others cannot.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Feature {
            $($variant,)*
        }

        impl Feature {
            /// All features, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What it is called, as a noun phrase.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                }
            }

            /// The options that ask for it; empty where no definition has to.
            pub fn options(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => &[$($option),*],)*
                }
            }

            fn row(self) -> [Support; 8] {
                match self {
                    $(Self::$variant => [$($cell),*],)*
                }
            }
        }
    };
}

//                                                     qemu, cloud-hypervisor, firecracker, crosvm,
//                                                                kvmtool, stratovirt, alioth, vfkit
features! {
    UserNet "user network" ["interfaces[].type = user"]                     [Y, N, N, N, Y, N, N, Y];
    Tap "TAP interfaces" ["interfaces[].type = tap"]                        [Y, Y, Y, Y, Y, Y, Y, N];
    TapVhost "vhost-net" ["interfaces[].tap.vhost"]                         [Y, N, N, Y, Y, Y, N, N];
    Macvtap "macvtap interfaces" ["interfaces[].type = macvtap"]            [Y, Y, N, Y, Y, Y, N, N];
    Bridge "bridge interfaces" ["interfaces[].type = bridge"]               [Y, N, N, N, N, N, N, N];
    ForwardFromHost "ports forwarded to the guest" ["forwardPorts"]         [Y, N, N, N, N, N, N, N];
    ForwardFromGuest "ports forwarded to the host"
        ["forwardPorts[].from = guest"]                                     [Y, N, N, N, N, N, N, N];
    NineP "9p shares" ["shares[].proto = 9p", "guest.rootShare = 9p"]       [Y, N, N, Y, Y, N, N, N];
    NinePReadOnly "read-only 9p shares" ["shares[].readOnly"]               [Y, N, N, N, N, N, N, N];
    NinePMapped "mapped ownership on 9p shares"
        ["shares[].securityModel"]                                          [Y, N, N, N, N, N, N, N];
    Virtiofs "virtiofs shares"
        ["shares[].proto = virtiofs", "storeOnDisk = false"]                [Y, Y, N, Y, N, Y, Y, Y];
    VolumeSerial "serial numbers of volumes" ["volumes[].serial"]           [Y, Y, N, Y, N, Y, N, Y];
    VolumeDirect "volumes without the host's cache" ["volumes[].direct"]    [Y, Y, N, Y, Y, Y, N, N];
    Qcow2 "qcow2 images" ["volumes[].imageType = qcow2"]                    [Y, Y, N, Y, N, Y, N, N];
    Vhd "VHD images" ["volumes[].imageType = vhd"]                          [Y, Y, N, N, N, N, N, N];
    Vhdx "VHDX images" ["volumes[].imageType = vhdx"]                       [Y, Y, N, N, N, N, N, N];
    Balloon "balloon" ["balloon"]                                           [Y, Y, Y, Y, Y, Y, N, N];
    InitialBalloon "initial size of the balloon" ["initialBalloonMem"]      [N, Y, Y, Y, N, N, N, N];
    KeepBalloonOnOom "way to keep the balloon when memory runs out"
        ["deflateOnOOM = false"]                                            [Y, Y, Y, N, Y, Y, N, N];
    DeflateOnOom "balloon that shrinks when memory runs out"
        ["deflateOnOOM"]                                                    [Y, Y, Y, Y, N, Y, N, N];
    Hugepages "huge pages" ["hugepageMem"]                                  [Y, Y, Y, Y, Y, Y, N, N];
    HotplugMem "memory hotplug" ["hotplugMem"]                              [Y, Y, since(1, 14), N, N, N, N, N];
    Pci "PCI passthrough" ["devices[].bus = pci"]                           [Y, Y, N, Y, Y, Y, Y, N];
    Usb "USB passthrough" ["devices[].bus = usb"]                           [Y, N, N, N, N, N, N, N];
    PcieRootPorts "PCIe root ports" ["qemu.pcieRootPorts"]                  [Y, N, N, N, N, N, N, N];
    Vsock "vsock" ["vsock.cid"]                                             [Y, Y, Y, Y, Y, Y, Y, N];
    Credentials "credentials for the guest" ["credentialFiles"]             [Y, Y, Y, Y, Y, Y, Y, N];
    Graphics "graphics" ["graphics.enable"]                                 [Y, N, N, N, N, N, N, Y];
    Headless "graphics without a window" ["graphics.backend = headless"]    [Y, N, N, N, N, N, N, N];
    Venus "Vulkan by venus"
        ["graphics.vulkan = venus"]                                         [since(9, 2), N, N, N, N, N, N, N];
    DrmNativeContext "Vulkan by DRM native context"
        ["graphics.vulkan = drm_native_context"]                            [since(11, 0), N, N, N, N, N, N, N];
    SwitchUser "way to run as another user" ["user"]                            [Y, N, N, N, N, N, N, N];
    EmulatedCpu "emulation of a processor" ["cpu"]                    [Y, N, N, N, N, N, N, N];
    GracefulStop "graceful stop" []                                         [Y, Y, Y, Y, Y, Y, Y, N];
    Pause "pause and resume" []                                             [Y, Y, Y, Y, Y, Y, N, N];
}

impl Feature {
    pub fn support(self, hypervisor: Hypervisor) -> Support {
        self.row()[hypervisor as usize]
    }

    /// The hypervisors of which some version has it.
    pub fn able(self) -> Vec<Hypervisor> {
        HYPERVISORS
            .into_iter()
            .filter(|hypervisor| self.support(*hypervisor).is_possible())
            .collect()
    }
}
