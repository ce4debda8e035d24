//! What a build tells whoever watches it.

/// The parts of a build, in the order in which they come; any may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Resolve,
    Download,
    Unpack,
    Customise,
    StoreDisk,
    Initrd,
    /// By another program, of something that it names.
    Build,
}

impl Phase {
    /// What is shown for it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Download => "download",
            Self::Unpack => "unpack",
            Self::Customise => "customise",
            Self::StoreDisk => "store disk",
            Self::Initrd => "initrd",
            Self::Build => "build",
        }
    }
}

/// Receives the phases of a build; called from the thread that builds.
pub trait Progress {
    /// A phase begins; `subject` is what it works on, or empty.
    fn start(&self, phase: Phase, subject: &str);

    /// `done` of `total` steps (bytes, packages) of the running phase are behind us.
    fn advance(&self, phase: Phase, done: u64, total: u64);
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: Phase, _: &str) {}

    fn advance(&self, _: Phase, _: u64, _: u64) {}
}
