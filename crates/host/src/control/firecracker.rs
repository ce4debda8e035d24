//! The verbs in Firecracker's REST. It has none to end itself: a signal does.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::client::{Client, RunState};
use super::{Error, PATIENCE};
use crate::process::Process;
use crate::rest::{self, Rest};

pub struct Firecracker(Rest);

pub fn connect(socket: &Path) -> Result<Firecracker, Error> {
    Ok(Firecracker(Rest::connect(socket, PATIENCE)?))
}

#[derive(Deserialize)]
struct Instance {
    state: String,
}

/// The parts of the configuration that matter here.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Config {
    machine_config: Machine,
    balloon: Option<Balloon>,
    #[serde(default)]
    memory_hotplug: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Machine {
    mem_size_mib: u64,
}

#[derive(Deserialize)]
struct Balloon {
    amount_mib: u64,
    #[serde(default)]
    stats_polling_interval_s: u16,
}

#[derive(Deserialize)]
struct Statistics {
    actual_mib: u64,
}

#[derive(Deserialize)]
struct Hotplug {
    plugged_size_mib: u64,
}

impl Firecracker {
    fn config(&mut self) -> Result<Config, Error> {
        Ok(self.0.get("/vm/config")?)
    }

    /// What the guest has with an empty balloon. Where there is no memory to be plugged, the
    /// question is an error, which Firecracker logs on the guest's console.
    fn total(&mut self, config: &Config) -> Result<u64, Error> {
        let plugged = match config.memory_hotplug {
            None => 0,
            Some(_) => self.0.get::<Hotplug>("/hotplug/memory")?.plugged_size_mib,
        };
        Ok(config.machine_config.mem_size_mib + plugged)
    }

    fn set_state(&mut self, state: &str) -> Result<(), Error> {
        Ok(self.0.patch("/vm", &json!({ "state": state }))?)
    }
}

impl Client for Firecracker {
    fn process(&self) -> Option<Process> {
        self.0.process_behind()
    }

    fn state(&mut self) -> Result<RunState, Error> {
        let instance: Instance = self.0.get("/")?;
        Ok(match instance.state.as_str() {
            "Running" => RunState::Running,
            "Paused" => RunState::Paused,
            _ => RunState::Between,
        })
    }

    fn power_down(&mut self) -> Result<(), Error> {
        let action = json!({ "action_type": "SendCtrlAltDel" });
        match self.0.put("/actions", Some(&action)) {
            // Its keyboard has no room for more keys (1.17: 16 bytes): the guest has not read the
            // earlier ones yet, and will.
            Err(rest::Error::Refused { said, .. }) if said.contains("nternal buffer") => Ok(()),
            other => Ok(other?),
        }
    }

    fn quit(&mut self) -> Result<(), Error> {
        Err(Error::Unsupported { verb: "quit" })
    }

    fn pause(&mut self) -> Result<(), Error> {
        self.set_state("Paused")
    }

    fn resume(&mut self) -> Result<(), Error> {
        self.set_state("Resumed")
    }

    fn set_balloon(&mut self, mib: u64) -> Result<(), Error> {
        let config = self.config()?;
        if config.balloon.is_none() {
            return Err(Error::NoBalloon);
        }
        let amount = self.total(&config)?.saturating_sub(mib);
        Ok(self.0.patch("/balloon", &json!({ "amount_mib": amount }))?)
    }

    fn balloon(&mut self) -> Result<u64, Error> {
        let config = self.config()?;
        let total = self.total(&config)?;
        let held = match config.balloon {
            None => 0,
            // The user has turned statistics off: what was asked for is all that is known.
            Some(balloon) if balloon.stats_polling_interval_s == 0 => balloon.amount_mib,
            Some(_) => self.0.get::<Statistics>("/balloon/statistics")?.actual_mib,
        };
        Ok(total.saturating_sub(held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::stand_in::serve;

    const CONFIG: &str = r#"{"balloon":{"amount_mib":64,"deflate_on_oom":true,"stats_polling_interval_s":5,"free_page_hinting":false},"drives":[],"machine-config":{"vcpu_count":1,"mem_size_mib":256},"memory-hotplug":null}"#;

    fn answer(request: &str) -> (u16, String) {
        match request {
            "GET /" => (
                200,
                r#"{"id":"web","state":"Paused","vmm_version":"1.17.0"}"#.into(),
            ),
            "GET /vm/config" => (200, CONFIG.to_owned()),
            "GET /balloon/statistics" => (200, r#"{"actual_mib":60,"target_mib":64}"#.into()),
            r#"PUT /actions {"action_type":"SendCtrlAltDel"}"# => (
                400,
                r#"{"fault_message":"i8042 error: i8042 internal buffer full."}"#.into(),
            ),
            _ => (204, String::new()),
        }
    }

    #[test]
    fn memory_is_counted_from_what_the_machine_has() {
        let (_dir, socket, requests) = serve(answer);
        let mut client = connect(&socket).unwrap();
        client.set_balloon(128).unwrap();
        assert_eq!(client.balloon().unwrap(), 196);
        drop(client);
        let requests: Vec<String> = requests.iter().collect();
        assert_eq!(requests[1], r#"PATCH /balloon {"amount_mib":128}"#);
    }

    #[test]
    fn keys_that_are_not_read_yet_are_enough() {
        let (_dir, socket, _requests) = serve(answer);
        let mut client = connect(&socket).unwrap();
        client.power_down().unwrap();
        assert_eq!(client.state().unwrap(), RunState::Paused);
    }

    #[test]
    fn without_a_balloon_there_is_nothing_to_set() {
        let bare = r#"{"machine-config":{"mem_size_mib":256},"balloon":null}"#;
        let (_dir, socket, _requests) = serve(|_| (200, bare.to_owned()));
        let mut client = connect(&socket).unwrap();
        assert!(matches!(client.set_balloon(128), Err(Error::NoBalloon)));
        assert_eq!(client.balloon().unwrap(), 256);
    }
}
