//! Boots real guests with the real program, and talks to them.
//!
//! It mocks nothing: what cannot run is skipped, with the reason.

pub mod fleet;
pub mod guest;
pub mod host;
pub mod kvm_host;
pub mod nested;
pub mod nix;
pub mod ssh;
pub mod sshd;

pub use fleet::Fleet;
pub use guest::Guest;
pub use kvm_host::KvmHost;
pub use nested::Nested;

/// Why a step failed, for a test's report.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
pub type Outcome<T = ()> = std::result::Result<T, Failure>;

/// Fails a test with a formatted message unless the condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+).into());
        }
    };
}
