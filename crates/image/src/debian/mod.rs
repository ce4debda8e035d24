//! The `debian` guest source: packages of a Debian archive, unpacked by mmdebstrap.
//!
//! apt resolves and downloads into the cache; what is pinned is then offered to mmdebstrap as a
//! small archive of its own, so that unpacking needs no network and can take nothing else.

pub(crate) mod apt;
mod archive;
mod bootstrap;
mod host;
pub(crate) mod packages;
mod pool;
mod repository;
mod resolve;
mod stanza;

pub(crate) use archive::guest_sources;
pub(crate) use bootstrap::{Bootstrap, bootstrap};
pub(crate) use packages::{Flavour, debian_arch};
pub(crate) use pool::Pool;
pub(crate) use resolve::{lock_key, resolve, wanted};
