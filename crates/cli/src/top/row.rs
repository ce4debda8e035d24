//! A VM and its figures, as one line of the view and one object of `--json`.

use std::path::PathBuf;
use std::time::Duration;

use host::control::RunState;
use host::sample::Rates;
use serde_json::{Value, json};

use super::vms::{Place, Vm};

/// What a VM does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Stopped,
    Running,
    Paused,
    Between,
    /// It runs, and its hypervisor does not answer.
    Unknown,
    /// Its files cannot be read.
    Broken,
}

impl Doing {
    /// As `microvm list` and `microvm status` call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => RunState::Stopped.as_str(),
            Self::Running => RunState::Running.as_str(),
            Self::Paused => RunState::Paused.as_str(),
            Self::Between => RunState::Between.as_str(),
            Self::Unknown => RunState::Unknown.as_str(),
            Self::Broken => "broken",
        }
    }

    pub fn is_up(self) -> bool {
        !matches!(self, Self::Stopped | Self::Broken)
    }
}

impl From<RunState> for Doing {
    /// Of a VM whose process is there.
    fn from(state: RunState) -> Self {
        match state {
            RunState::Running => Self::Running,
            RunState::Paused => Self::Paused,
            RunState::Between | RunState::Stopped => Self::Between,
            RunState::Unknown => Self::Unknown,
        }
    }
}

/// What is told of a VM; what is not known is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub name: String,
    pub dir: PathBuf,
    pub place: Place,
    pub doing: Doing,
    pub hypervisor: Option<String>,
    pub pid: Option<u32>,
    pub uptime: Option<Duration>,
    pub host_bytes: Option<u64>,
    pub guest_mib: Option<u64>,
    pub rates: Rates,
    pub note: Option<String>,
}

impl Row {
    /// Without figures.
    pub fn of(vm: &Vm, doing: Doing) -> Self {
        Self {
            name: vm.name.to_string(),
            dir: vm.dir.clone(),
            place: vm.place,
            doing,
            hypervisor: vm.package.hypervisor.clone(),
            pid: vm.pid,
            uptime: None,
            host_bytes: None,
            guest_mib: None,
            rates: Rates::default(),
            note: note(vm, doing),
        }
    }

    pub fn json(&self) -> Value {
        let tenths = |percent: f64| (percent * 10.0).round() / 10.0;
        json!({
            "name": self.name,
            "state": self.doing.as_str(),
            "installed": self.place == Place::Installed,
            "directory": self.dir,
            "hypervisor": self.hypervisor,
            "pid": self.pid,
            "uptimeSeconds": self.uptime.map(|uptime| uptime.as_secs()),
            "cpuPercent": self.rates.processor_percent.map(tenths),
            "hostMemoryMiB": self.host_bytes.map(|bytes| bytes >> 20),
            "guestMemoryMiB": self.guest_mib,
            "networkReceivedBytesPerSecond": self.rates.received,
            "networkSentBytesPerSecond": self.rates.sent,
            "diskReadBytesPerSecond": self.rates.disk_read,
            "diskWrittenBytesPerSecond": self.rates.disk_written,
            "note": self.note,
        })
    }
}

fn note(vm: &Vm, doing: Doing) -> Option<String> {
    if let Some(broken) = &vm.broken {
        return Some(broken.clone());
    }
    match doing {
        Doing::Unknown => Some("its hypervisor does not answer".to_owned()),
        _ if vm.behind => Some(format!(
            "runs another version; `microvm restart {}`",
            vm.name
        )),
        _ => None,
    }
}
