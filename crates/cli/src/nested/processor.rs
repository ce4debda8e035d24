//! What runs the guests in the guest: the processor's own virtualization, or an emulated one.

use std::fmt;
use std::path::Path;

use host::probe::{self, Host, Kvm};

use crate::error::{Error, Kind, Result};
use crate::places::Places;

/// How its processor comes to have virtualization.
pub enum Processor {
    /// KVM lets guests have that of the host, by this module.
    Hardware { module: &'static str },
    /// QEMU emulates a processor with AMD's.
    Emulated { why: String },
}

/// The modules of which one is loaded where KVM works.
const MODULES: [&str; 2] = ["kvm_intel", "kvm_amd"];

impl Processor {
    pub fn of_this_host(places: &Places) -> Result<Self> {
        if !cfg!(target_arch = "x86_64") {
            let message = "`microvm#vm` needs a host of x86_64";
            return Err(Error::new(Kind::Missing, message));
        }
        let host = Host::here(places.cache.clone());
        Ok(match probe::kvm(&host) {
            Kvm::Works => nesting(&host.sys),
            unusable => Self::Emulated {
                why: unusable.to_string(),
            },
        })
    }

    /// What `cpu` of the definition is; nothing for the host's own.
    pub fn cpu(&self) -> Option<&'static str> {
        match self {
            Self::Hardware { .. } => None,
            Self::Emulated { .. } => Some("EPYC,+svm,+npt"),
        }
    }

    /// How many it has, unless that is chosen: of emulated ones only one, for with two and eight guests
    /// at once QEMU 7.2's panicked; and each would want a processor of the host.
    pub fn default_vcpu(&self) -> u64 {
        let own = || std::thread::available_parallelism().map_or(1, usize::from);
        match self {
            Self::Hardware { .. } => own().min(4) as u64,
            Self::Emulated { .. } => 1,
        }
    }

    /// What its kernel has to be told of emulation: the clocks of its processors are in step, and one
    /// that ticks of itself goes on where an interrupt is lost.
    pub fn kernel_params(&self) -> &'static [&'static str] {
        match self {
            Self::Hardware { .. } => &[],
            Self::Emulated { .. } => {
                &["mitigations=off", "tsc=reliable", "nohz=off", "highres=off"]
            }
        }
    }

    /// The module that KVM needs in it.
    pub fn module(&self) -> &'static str {
        match self {
            Self::Hardware { module } => module,
            Self::Emulated { .. } => "kvm_amd",
        }
    }
}

fn nesting(sys: &Path) -> Processor {
    let nested = |module: &str| {
        let parameter = sys.join("module").join(module).join("parameters/nested");
        std::fs::read_to_string(parameter).ok()
    };
    for module in MODULES {
        match nested(module).as_deref().map(str::trim) {
            None => {}
            Some("Y" | "1") => return Processor::Hardware { module },
            Some(_) => {
                let why = format!("nested virtualization is off (`modprobe {module} nested=1`)");
                return Processor::Emulated { why };
            }
        }
    }
    Processor::Emulated {
        why: "KVM does not say that it can be nested".to_owned(),
    }
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hardware { module } => write!(f, "its VMs use nested virtualization ({module})"),
            Self::Emulated { why } => write!(
                f,
                "{why}; a processor with AMD's virtualization is emulated, in which everything \
                 is many times slower"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_what_the_module_says() {
        let sys = tempfile::tempdir().unwrap();
        let shown = || nesting(sys.path()).to_string();
        assert!(shown().contains("does not say"), "{}", shown());
        let parameters = sys.path().join("module/kvm_amd/parameters");
        std::fs::create_dir_all(&parameters).unwrap();
        std::fs::write(parameters.join("nested"), "0\n").unwrap();
        assert!(shown().contains("modprobe kvm_amd nested=1"), "{}", shown());
        std::fs::write(parameters.join("nested"), "1\n").unwrap();
        assert!(shown().contains("(kvm_amd)"), "{}", shown());
        assert_eq!(nesting(sys.path()).cpu(), None);
    }
}
