//! Persistent tap and macvtap interfaces: made before a VM starts, by root, for its user.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use spec::vm::MacvtapMode;

use crate::kind::Kind;
use crate::macvtap;
use crate::netlink::{Request, attribute};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The tun driver `/dev/net/tun` cannot be opened; load it with `modprobe tun`")]
    NoDriver(#[source] std::io::Error),
    #[error("The interface `{id}` cannot be made; it takes root or CAP_NET_ADMIN")]
    Denied { id: String },
    #[error("The interface `{id}` is used by another program")]
    Busy { id: String },
    #[error("`{id}` is an interface, but not a {wanted} one")]
    OtherKind { id: String, wanted: &'static str },
    #[error("The interface `{link}` below `{id}` is not there")]
    NoLink { id: String, link: String },
    #[error("The device of the macvtap interface `{id}` did not appear")]
    NoDevice { id: String },
    #[error("The interface `{id}` cannot be set up")]
    Io { id: String, source: std::io::Error },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoDriver(_) | Self::Denied { .. } | Self::NoDevice { .. } => Kind::Missing,
            Self::Busy { .. } => Kind::Busy,
            Self::OtherKind { .. } => Kind::Definition,
            Self::NoLink { .. } => Kind::NotFound,
            Self::Io { .. } => Kind::Other,
        }
    }

    fn of(id: &str, source: impl Into<std::io::Error>) -> Self {
        let (id, source) = (id.to_owned(), source.into());
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Denied { id },
            Some(libc::EBUSY) => Self::Busy { id },
            Some(libc::EINVAL) => Self::OtherKind { id, wanted: "tap" },
            _ => Self::Io { id, source },
        }
    }
}

/// A tap interface of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap<'a> {
    pub id: &'a str,
    /// User that may open it; `None` leaves it to root.
    pub owner: Option<u32>,
    /// Whether it is opened more than once, as with several virtual processors.
    pub multi_queue: bool,
}

impl Tap<'_> {
    /// Makes the interface, or brings the one that is there to the same state.
    pub fn up(&self) -> Result<(), Error> {
        let failed = |error: nix::Error| Error::of(self.id, error);
        let file = match self.attach() {
            // It is there with other flags.
            Err(Error::OtherKind { .. }) if is_tap(self.id) => {
                down(self.id)?;
                self.attach()?
            }
            other => other?,
        };
        ioctl::persist(&file, true).map_err(failed)?;
        if let Some(owner) = self.owner {
            ioctl::set_owner(&file, owner).map_err(failed)?;
        }
        drop(file);
        let up = Request::change().name(self.id).up();
        up.send().map_err(|error| Error::of(self.id, error))
    }

    fn attach(&self) -> Result<File, Error> {
        let file = open_driver()?;
        let queues = if self.multi_queue {
            libc::IFF_MULTI_QUEUE
        } else {
            0
        };
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | queues;
        ioctl::set_interface(&file, self.id, flags).map_err(|error| Error::of(self.id, error))?;
        Ok(file)
    }
}

/// Deletes an interface; one that is not there is fine.
pub fn down(id: &str) -> Result<(), Error> {
    match Request::delete().name(id).send() {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        other => other.map_err(|error| Error::of(id, error)),
    }
}

fn is_tap(id: &str) -> bool {
    Path::new("/sys/class/net")
        .join(id)
        .join("tun_flags")
        .exists()
}

fn open_driver() -> Result<File, Error> {
    let options = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    options.map_err(Error::NoDriver)
}

/// A macvtap interface of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macvtap<'a> {
    pub id: &'a str,
    /// Interface of the host that it sends through.
    pub link: &'a str,
    pub mode: MacvtapMode,
    /// `02:00:00:00:00:01`
    pub mac: &'a str,
    /// User that may open its device.
    pub owner: Option<u32>,
}

impl Macvtap<'_> {
    /// Makes the interface anew: of one that is there neither link nor mode can be changed.
    pub fn up(&self) -> Result<(), Error> {
        let below = index_of(self.link).ok_or_else(|| Error::NoLink {
            id: self.id.to_owned(),
            link: self.link.to_owned(),
        })?;
        down(self.id)?;
        let created = self.request(below).send();
        created.map_err(|error| Error::of(self.id, error))?;
        self.own_device()
    }

    fn request(&self, below: u32) -> Request {
        let mode = attribute(IFLA_MACVLAN_MODE, &mode_number(self.mode).to_ne_bytes());
        let kind = attribute(libc::IFLA_INFO_KIND, b"macvtap");
        let info = [kind, attribute(libc::IFLA_INFO_DATA, &mode)].concat();
        Request::create()
            .name(self.id)
            .up()
            .attribute(libc::IFLA_LINK, &below.to_ne_bytes())
            .attribute(libc::IFLA_ADDRESS, &mac_bytes(self.mac))
            .attribute(libc::IFLA_LINKINFO, &info)
    }

    /// udev makes the device node, some time after the interface.
    fn own_device(&self) -> Result<(), Error> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let absent = || Error::NoDevice {
            id: self.id.to_owned(),
        };
        let device = macvtap::device_of(self.id, Path::new("/sys"), Path::new("/dev"));
        let device = device.map_err(|_| absent())?;
        let start = Instant::now();
        while !device.exists() {
            if start.elapsed() > PATIENCE {
                return Err(absent());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let Some(owner) = self.owner else {
            return Ok(());
        };
        let owned = std::os::unix::fs::chown(&device, Some(owner), None);
        owned.map_err(|error| Error::of(self.id, error))
    }
}

/// From `linux/if_link.h`.
const IFLA_MACVLAN_MODE: u16 = 1;

fn mode_number(mode: MacvtapMode) -> u32 {
    match mode {
        MacvtapMode::Private => 1,
        MacvtapMode::Vepa => 2,
        MacvtapMode::Bridge => 4,
        MacvtapMode::Passthru => 8,
        MacvtapMode::Source => 16,
    }
}

fn mac_bytes(mac: &str) -> Vec<u8> {
    mac.split(':')
        .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
        .collect()
}

fn index_of(id: &str) -> Option<u32> {
    let file = Path::new("/sys/class/net").join(id).join("ifindex");
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Requests of `linux/if_tun.h`.
#[expect(unsafe_code, reason = "ioctl has no safe wrapper")]
mod ioctl {
    use super::{AsRawFd, File};

    nix::ioctl_write_ptr_bad!(
        tunsetiff,
        nix::request_code_write!(b'T', 202, 4),
        libc::ifreq
    );
    nix::ioctl_write_int_bad!(tunsetpersist, nix::request_code_write!(b'T', 203, 4));
    nix::ioctl_write_int_bad!(tunsetowner, nix::request_code_write!(b'T', 204, 4));

    pub fn set_interface(file: &File, id: &str, flags: i32) -> nix::Result<()> {
        let mut name = [0; libc::IFNAMSIZ];
        if id.len() >= name.len() {
            return Err(nix::Error::ENAMETOOLONG);
        }
        for (to, from) in name.iter_mut().zip(id.bytes()) {
            *to = from as libc::c_char;
        }
        let request = libc::ifreq {
            ifr_name: name,
            // The kernel's field is 16 bits wide, and all flags fit.
            ifr_ifru: libc::__c_anonymous_ifr_ifru {
                ifru_flags: flags as libc::c_short,
            },
        };
        // SAFETY: the kernel reads and writes one ifreq, which outlives the call.
        unsafe { tunsetiff(file.as_raw_fd(), &raw const request) }.map(drop)
    }

    pub fn persist(file: &File, on: bool) -> nix::Result<()> {
        // SAFETY: the argument is a number.
        unsafe { tunsetpersist(file.as_raw_fd(), i32::from(on)) }.map(drop)
    }

    pub fn set_owner(file: &File, uid: u32) -> nix::Result<()> {
        // SAFETY: the argument is a number; the kernel takes its bits as an uid_t.
        unsafe { tunsetowner(file.as_raw_fd(), uid.cast_signed()) }.map(drop)
    }
}

#[cfg(test)]
mod tests;
