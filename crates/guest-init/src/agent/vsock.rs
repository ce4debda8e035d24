//! A port of AF_VSOCK as the agent's channel, for the host alone.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::libc::{VMADDR_CID_ANY, VMADDR_CID_HOST};
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, VsockAddr, accept4, bind, getpeername, listen,
    socket,
};

use super::channel::{Channel, wait};

const FLAGS: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

/// Serves one connection; the next one replaces it, so that none that is left open is in the way.
pub fn serve(port: u32) -> io::Result<()> {
    let listener = open(port)?;
    let mut current: Option<Channel> = None;
    loop {
        let (new, talks) = match &current {
            None => (wait([&listener])?[0], PollFlags::empty()),
            Some(channel) => {
                let [new, talks] = wait([&listener, channel.file()])?;
                (new, talks)
            }
        };
        if !talks.is_empty() {
            current = current.and_then(proceed);
        }
        if !new.is_empty() {
            current = accept(&listener)?
                .map(|(file, _)| Channel::new(file))
                .or(current);
        }
    }
}

/// `None` when the peer has gone.
fn proceed(mut channel: Channel) -> Option<Channel> {
    let goes_on = channel.proceed().unwrap_or(false);
    goes_on.then_some(channel)
}

/// Listens there.
pub fn open(port: u32) -> io::Result<File> {
    let socket = socket(AddressFamily::Vsock, SockType::Stream, FLAGS, None)?;
    bind(socket.as_raw_fd(), &VsockAddr::new(VMADDR_CID_ANY, port))?;
    listen(&socket, Backlog::new(4)?)?;
    Ok(File::from(socket))
}

/// Linux keeps these ports of vsock for those with CAP_NET_BIND_SERVICE, as it does TCP's.
const LAST_RESERVED: u32 = 1023;

/// A connection of the host's; others (the guest's own programs, where it has a loopback) are
/// closed. Whether its port is one that only root can have goes with it.
pub fn accept(listener: &File) -> io::Result<Option<(File, bool)>> {
    let descriptor = match accept4(listener.as_raw_fd(), FLAGS) {
        Ok(descriptor) => descriptor,
        // It was given up before it was taken.
        Err(nix::Error::EAGAIN | nix::Error::ECONNABORTED | nix::Error::EINTR) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    #[expect(
        unsafe_code,
        reason = "nix gives a number where it could give an owner"
    )]
    // SAFETY: accept4 opened it, and nobody else knows it.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let peer: Result<VsockAddr, _> = getpeername(socket.as_raw_fd());
    let host = peer.ok().filter(|peer| peer.cid() == VMADDR_CID_HOST);
    Ok(host.map(|peer| (File::from(socket), peer.port() <= LAST_RESERVED)))
}
