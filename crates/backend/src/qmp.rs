//! Messages of the QEMU Machine Protocol that are needed here; opens no socket.
//!
//! Fields that are not known are passed over: each version of QEMU adds some. StratoVirt speaks
//! the part of it that is here.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::Version;

/// What a client sends. The names are QEMU's, hyphens and underscores both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "execute", content = "arguments")]
pub enum Command {
    /// Must be the first: ends the negotiation that the greeting begins.
    #[serde(rename = "qmp_capabilities")]
    QmpCapabilities,
    /// Presses the power button.
    #[serde(rename = "system_powerdown")]
    SystemPowerdown,
    /// Ends QEMU at once; the guest's disks are flushed, the guest is not asked.
    #[serde(rename = "quit")]
    Quit,
    #[serde(rename = "stop")]
    Stop,
    #[serde(rename = "cont")]
    Cont,
    #[serde(rename = "query-status")]
    QueryStatus,
    /// The memory in bytes that the guest is left with.
    #[serde(rename = "balloon")]
    Balloon { value: u64 },
    #[serde(rename = "query-balloon")]
    QueryBalloon,
}

/// A command with an id that its answer repeats; in text, as StratoVirt takes no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    #[serde(flatten)]
    pub command: Command,
    #[serde(with = "id")]
    pub id: u64,
}

mod id {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }

    /// Of an answer, which may have none.
    pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        let id = Option::<String>::deserialize(deserializer)?;
        Ok(id.and_then(|text| text.parse().ok()))
    }
}

impl Request {
    /// One line, as it goes into the socket.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::json!(self).to_string();
        line.push('\n');
        line
    }
}

/// What QEMU sends: one a line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Message {
    Greeting {
        #[serde(rename = "QMP")]
        qmp: Greeting,
    },
    Return {
        #[serde(rename = "return")]
        value: Value,
        #[serde(default, deserialize_with = "id::optional")]
        id: Option<u64>,
    },
    Error {
        error: CommandError,
        #[serde(default, deserialize_with = "id::optional")]
        id: Option<u64>,
    },
    Event(Event),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Greeting {
    pub version: Versions,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Versions {
    pub qemu: QemuVersion,
    /// The distribution's own words.
    #[serde(default)]
    pub package: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct QemuVersion {
    pub major: u32,
    pub minor: u32,
    pub micro: u32,
}

impl From<QemuVersion> for Version {
    fn from(version: QemuVersion) -> Self {
        Self(version.major, version.minor, version.micro)
    }
}

/// The hypervisor did not do what a command asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("The hypervisor refused: {desc}")]
pub struct CommandError {
    pub class: String,
    pub desc: String,
}

/// Something that happened, unasked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Event {
    #[serde(rename = "event")]
    pub name: EventName,
    #[serde(default)]
    pub data: Value,
    pub timestamp: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventName {
    /// The power button was pressed.
    Powerdown,
    Shutdown,
    Reset,
    Stop,
    Resume,
    BalloonChange,
    GuestPanicked,
    #[serde(other)]
    Other,
}

/// Of the host's clock; -1 where it could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Timestamp {
    pub seconds: i64,
    pub microseconds: i64,
}

/// `data` of [`EventName::Shutdown`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Shutdown {
    /// Whether the guest asked for it.
    pub guest: bool,
    /// `guest-shutdown`, `host-qmp-quit`, …
    #[serde(default)]
    pub reason: String,
}

/// Answer to [`Command::QueryStatus`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Status {
    pub running: bool,
    /// `running`, `paused`, `prelaunch`, …
    pub status: String,
}

/// Answer to [`Command::QueryBalloon`], and `data` of [`EventName::BalloonChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct BalloonInfo {
    /// Bytes that the guest has.
    pub actual: u64,
}

/// A line that is no message of the protocol.
#[derive(Debug, thiserror::Error)]
#[error("Not a message of QMP: `{line}`")]
pub struct InvalidMessage {
    pub line: String,
    pub source: serde_json::Error,
}

impl Message {
    /// Reads one line of the socket.
    pub fn parse(line: &str) -> Result<Self, InvalidMessage> {
        serde_json::from_str(line).map_err(|source| InvalidMessage {
            line: line.trim_end().to_owned(),
            source,
        })
    }
}
