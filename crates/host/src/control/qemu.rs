//! The verbs in QMP.

use std::path::Path;

use backend::qmp::{BalloonInfo, Command, Status};
use serde_json::Value;

use super::client::{Client, RunState};
use super::{Error, PATIENCE};
use crate::process::Process;
use crate::qmp::{self, Qmp};

pub fn connect(socket: &Path) -> Result<Qmp, Error> {
    Ok(Qmp::connect(socket, PATIENCE)?)
}

impl Client for Qmp {
    fn process(&self) -> Option<Process> {
        self.process_behind()
    }

    fn state(&mut self) -> Result<RunState, Error> {
        let status: Status = self.execute(Command::QueryStatus)?;
        Ok(match status.status.as_str() {
            "running" => RunState::Running,
            "paused" => RunState::Paused,
            _ => RunState::Between,
        })
    }

    fn power_down(&mut self) -> Result<(), Error> {
        self.plain(Command::SystemPowerdown)
    }

    fn quit(&mut self) -> Result<(), Error> {
        self.plain(Command::Quit)
    }

    fn pause(&mut self) -> Result<(), Error> {
        self.plain(Command::Stop)
    }

    fn resume(&mut self) -> Result<(), Error> {
        self.plain(Command::Cont)
    }

    fn set_balloon(&mut self, mib: u64) -> Result<(), Error> {
        let value = mib << 20;
        let set = self.execute::<Value>(Command::Balloon { value });
        set.map(drop).map_err(balloon_error)
    }

    fn balloon(&mut self) -> Result<u64, Error> {
        let info: BalloonInfo = self.execute(Command::QueryBalloon).map_err(balloon_error)?;
        Ok(info.actual >> 20)
    }
}

impl Qmp {
    fn plain(&mut self, command: Command) -> Result<(), Error> {
        self.execute::<Value>(command)?;
        Ok(())
    }
}

fn balloon_error(error: qmp::Error) -> Error {
    match error {
        qmp::Error::Refused(refusal) if refusal.class == "DeviceNotActive" => Error::NoBalloon,
        other => other.into(),
    }
}
