//! Capabilities of the daemon built in.

use virtiofsd::passthrough::InodeFileHandlesMode;

use super::Error;

/// What a file server that acts for many users needs; see capabilities(7).
const NEEDED: [&str; 8] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "MKNOD",
    "SETFCAP",
    "SETGID",
    "SETUID",
];

/// Drops all but what is needed and what `changes` adds; `true` adds, `false` takes away.
pub fn keep_only_needed(
    changes: &[(bool, String)],
    handles: InodeFileHandlesMode,
) -> Result<(), Error> {
    let mut kept: Vec<&str> = NEEDED.to_vec();
    if handles != InodeFileHandlesMode::Never {
        kept.push("DAC_READ_SEARCH");
    }
    for (add, name) in changes {
        kept.retain(|other| other != name);
        if *add {
            kept.push(name);
        }
    }
    capng::clear(capng::Set::BOTH);
    capng::updatev(
        capng::Action::ADD,
        capng::Type::PERMITTED | capng::Type::EFFECTIVE,
        kept,
    )
    .and_then(|()| capng::apply(capng::Set::BOTH))
    .map_err(|error| Error::Capabilities(error.to_string()))
}
