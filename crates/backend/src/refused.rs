//! Why a VM cannot run on its hypervisor: every reason at once, never only the first.

use std::fmt;
use std::path::PathBuf;

use spec::Vm;
use spec::names::VmName;
use spec::vm::Hypervisor;

use crate::features::{self, Feature};
use crate::plan::Version;

/// An option whose value the chosen hypervisor cannot honour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Path of the option in the definition: `shares[0].proto`.
    pub option: String,
    /// The value as written.
    pub value: String,
    /// What is wrong, and what would be accepted.
    pub message: String,
    /// Hypervisors that can; empty where the limit is the value's own.
    pub able: Vec<Hypervisor>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` = `{}`: {}", self.option, self.value, self.message)
    }
}

/// A limit of the value's own, which no other hypervisor is named for.
pub(crate) fn limit(
    option: impl Into<String>,
    value: impl ToString,
    message: impl Into<String>,
) -> Refusal {
    Refusal {
        option: option.into(),
        value: value.to_string(),
        message: message.into(),
        able: Vec::new(),
    }
}

/// One thing that stands against a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("{0}")]
    Definition(Refusal),
    #[error(
        "No backend for `{}` in this version; {} have one",
        features::name(*hypervisor),
        features::list(&features::built())
    )]
    NoBackend { hypervisor: Hypervisor },
    #[error("`{program}` has version {found}, which is too old; {least} or newer is needed")]
    TooOld {
        program: PathBuf,
        found: Version,
        least: Version,
    },
    #[error(
        "`{option}` = `{value}`: `{program}` has version {found}, which has no {}; \
         {least} or newer has",
        feature.title()
    )]
    FeatureTooOld {
        feature: Feature,
        option: String,
        value: String,
        program: PathBuf,
        found: Version,
        least: Version,
    },
    #[error("The hypervisor `{hypervisor}` needs KVM: {why}; `qemu` alone can do without")]
    NoKvm { hypervisor: Hypervisor, why: String },
    #[error("`{option}` needs `{device}`, which is not on this host; `modprobe {module}` makes it")]
    NoDevice {
        option: String,
        device: &'static str,
        module: &'static str,
    },
    #[error(
        "`{option}` = `{address}`: this host has no such device with an IOMMU group; `lspci -D` \
         shows what there is, and the firmware's settings must have the IOMMU on"
    )]
    NoIommuGroup { option: String, address: String },
    #[error(
        "`hugepageMem` needs huge pages mounted, as systemd's `dev-hugepages.mount` does at \
         `/dev/hugepages`"
    )]
    NoHugetlbfs,
    #[error("`{program}` has no {options}; a newer version has, or one that is built with it")]
    NoOptions { program: PathBuf, options: String },
    #[error(
        "The control socket would be `{path}`, which has {length} bytes; at most {most} are \
         possible; choose a state directory with a shorter path"
    )]
    SocketPath {
        path: PathBuf,
        length: usize,
        most: usize,
    },
    #[error("The hypervisor `{hypervisor}` needs {needs}")]
    OtherSystem {
        hypervisor: Hypervisor,
        needs: &'static str,
    },
    #[error("`{option}` needs the program `{program}`, which is not on this host")]
    NoProgram {
        option: String,
        program: &'static str,
    },
    #[error(
        "The kernel command line has {length} bytes; at most {most} are possible; \
         shorten `kernelParams`"
    )]
    CommandLine { length: usize, most: usize },
    #[error("The path `{path}` is not valid UTF-8; choose a directory whose name is")]
    NotUnicode { path: PathBuf },
    #[error(
        "The path `{path}` has a `{character}` in it, which `{hypervisor}` takes for the end of \
         a value; choose another name"
    )]
    Unquotable {
        hypervisor: Hypervisor,
        character: char,
        path: PathBuf,
    },
}

/// What kind of trouble a reason is, for exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonKind {
    /// The definition asks for what cannot be.
    Definition,
    /// A program or a device is missing, or a program is too old.
    Program,
}

impl Reason {
    pub fn kind(&self) -> ReasonKind {
        match self {
            Self::Definition(_)
            | Self::NoBackend { .. }
            | Self::CommandLine { .. }
            | Self::SocketPath { .. }
            | Self::NotUnicode { .. }
            | Self::Unquotable { .. } => ReasonKind::Definition,
            Self::TooOld { .. }
            | Self::FeatureTooOld { .. }
            | Self::NoKvm { .. }
            | Self::NoDevice { .. }
            | Self::NoIommuGroup { .. }
            | Self::NoHugetlbfs
            | Self::NoOptions { .. }
            | Self::OtherSystem { .. }
            | Self::NoProgram { .. } => ReasonKind::Program,
        }
    }
}

/// All reasons why no plan could be made, in the order of the definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    pub vm: VmName,
    /// Never empty.
    pub reasons: Vec<Reason>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The VM `{}` cannot run:", self.vm)?;
        self.reasons
            .iter()
            .try_for_each(|reason| write!(f, "\n  {reason}"))
    }
}

impl Refused {
    pub(crate) fn new(vm: &Vm, reasons: Vec<Reason>) -> Self {
        Self {
            vm: vm.name.clone(),
            reasons,
        }
    }

    /// `Definition` where any reason is: no other host would help then.
    pub fn kind(&self) -> ReasonKind {
        let is_definition = |reason: &Reason| reason.kind() == ReasonKind::Definition;
        if self.reasons.iter().any(is_definition) {
            ReasonKind::Definition
        } else {
            ReasonKind::Program
        }
    }
}
