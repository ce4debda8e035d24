//! The options: one table of their names, types, defaults and meanings, from which the reader,
//! the schema and the reference are made.
//!
//! Names are those of MicroVM.nix without `microvm.`; what we added is below `guest`.

mod default;
pub mod form;
mod kind;
mod lookup;
mod present;
pub(crate) mod shape;
mod table;

pub use default::Default;
pub use kind::Type;
pub(crate) use lookup::meant;
pub use lookup::{all, below, closest, find, nearest};
pub use present::table;

use crate::vm::Hypervisor;

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// `volumes.*.size`, `guest.users.<name>.uid`
    pub name: &'static str,
    pub kind: Type,
    pub default: Default,
    /// Whether null is a value of it, beside those of its type.
    pub nullable: bool,
    /// A sentence or two.
    pub meaning: &'static str,
    pub scope: Scope,
    /// A value, as TOML.
    pub example: &'static str,
}

/// Where an option has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Every,
    /// Elsewhere it is refused, or kept for the day that `hypervisor` changes.
    Only(&'static [Hypervisor]),
    /// Taken so that `config.microvm` of a NixOS guest is a definition; no effect in a file.
    Nix,
}

pub(crate) const fn opt(
    name: &'static str,
    kind: Type,
    default: Default,
    example: &'static str,
    meaning: &'static str,
) -> Opt {
    Opt {
        name,
        kind,
        default,
        nullable: matches!(default, Default::Null),
        meaning,
        scope: Scope::Every,
        example,
    }
}

impl Opt {
    pub(crate) const fn or_null(self) -> Self {
        Self {
            nullable: true,
            ..self
        }
    }

    pub(crate) const fn on(self, hypervisors: &'static [Hypervisor]) -> Self {
        Self {
            scope: Scope::Only(hypervisors),
            ..self
        }
    }

    pub(crate) const fn nix(self) -> Self {
        Self {
            scope: Scope::Nix,
            ..self
        }
    }

    /// The last part of the name: `size` of `volumes.*.size`.
    pub fn leaf(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}
