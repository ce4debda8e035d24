//! The table itself, in the order of the handbook.

mod disks;
mod guest;
mod hypervisors;
mod machine;
mod network;
mod nix;
mod running;
mod shares;

use super::{Opt, Type};
use crate::options::form::Form;

pub const SECTIONS: [&[Opt]; 8] = [
    machine::OPTIONS,
    disks::OPTIONS,
    shares::OPTIONS,
    network::OPTIONS,
    guest::OPTIONS,
    running::OPTIONS,
    hypervisors::OPTIONS,
    nix::OPTIONS,
];

const WORDS: Type = Type::List(&Type::Text(Form::Word));
const ARGS: Type = Type::List(&Type::Text(Form::Line));
const TABLES: Type = Type::List(&Type::Table);

/// 16 TiB in MiB: beyond what any of the hypervisors gives a guest.
const MEM_MAX: i64 = 16 * 1024 * 1024;
