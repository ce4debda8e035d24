//! The verbs in Cloud Hypervisor's REST.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::client::{Client, RunState};
use super::{Error, PATIENCE};
use crate::process::Process;
use crate::rest::{self, Rest};

pub struct CloudHypervisor(Rest);

pub fn connect(socket: &Path) -> Result<CloudHypervisor, Error> {
    Ok(CloudHypervisor(Rest::connect(socket, PATIENCE)?))
}

/// The parts of `vm.info` that matter here; sizes in bytes.
#[derive(Deserialize)]
struct Info {
    state: String,
    memory_actual_size: u64,
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    memory: Memory,
    balloon: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Memory {
    size: u64,
    hotplugged_size: Option<u64>,
}

impl CloudHypervisor {
    fn info(&mut self) -> Result<Info, Error> {
        Ok(self.0.get("/api/v1/vm.info")?)
    }

    fn plain(&mut self, verb: &str) -> Result<(), Error> {
        Ok(self.0.put(&format!("/api/v1/{verb}"), None)?)
    }

    /// Paused twice is an error to it.
    fn unless(&mut self, reached: RunState, verb: &str) -> Result<(), Error> {
        if self.state()? == reached {
            return Ok(());
        }
        self.plain(verb)
    }
}

impl Client for CloudHypervisor {
    fn process(&self) -> Option<Process> {
        self.0.process_behind()
    }

    fn state(&mut self) -> Result<RunState, Error> {
        let info = self.info();
        Ok(match info {
            Ok(info) => match info.state.as_str() {
                "Running" => RunState::Running,
                "Paused" => RunState::Paused,
                _ => RunState::Between,
            },
            // It listens before it has a VM.
            Err(Error::Rest(rest::Error::Refused { .. })) => RunState::Between,
            Err(error) => return Err(error),
        })
    }

    fn power_down(&mut self) -> Result<(), Error> {
        match self.plain("vm.power-button") {
            Err(Error::Rest(rest::Error::Refused { .. })) if self.state()? == RunState::Between => {
                Ok(())
            }
            other => other,
        }
    }

    fn quit(&mut self) -> Result<(), Error> {
        self.plain("vmm.shutdown")
    }

    fn pause(&mut self) -> Result<(), Error> {
        self.unless(RunState::Paused, "vm.pause")
    }

    fn resume(&mut self) -> Result<(), Error> {
        self.unless(RunState::Running, "vm.resume")
    }

    fn set_balloon(&mut self, mib: u64) -> Result<(), Error> {
        let config = self.info()?.config;
        if config.balloon.is_none() {
            return Err(Error::NoBalloon);
        }
        let total = config.memory.size + config.memory.hotplugged_size.unwrap_or(0);
        let desired = json!({ "desired_balloon": total.saturating_sub(mib << 20) });
        Ok(self.0.put("/api/v1/vm.resize", Some(&desired))?)
    }

    fn balloon(&mut self) -> Result<u64, Error> {
        Ok(self.info()?.memory_actual_size >> 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::stand_in::serve;

    fn info(state: &str, balloon: &str) -> String {
        format!(
            r#"{{"config":{{"memory":{{"size":268435456,"hotplugged_size":134217728}},"balloon":{balloon}}},"state":"{state}","memory_actual_size":201326592}}"#
        )
    }

    #[test]
    fn what_is_plugged_counts_as_memory() {
        let (_dir, socket, requests) = serve(|request| match request {
            "GET /api/v1/vm.info" => (200, info("Running", r#"{"size":0}"#)),
            _ => (204, String::new()),
        });
        let mut client = connect(&socket).unwrap();
        client.set_balloon(256).unwrap();
        assert_eq!(client.balloon().unwrap(), 192);
        drop(client);
        let requests: Vec<String> = requests.iter().collect();
        assert_eq!(
            requests[1],
            r#"PUT /api/v1/vm.resize {"desired_balloon":134217728}"#
        );
    }

    #[test]
    fn nothing_is_paused_twice() {
        let (_dir, socket, requests) = serve(|_| (200, info("Paused", "null")));
        let mut client = connect(&socket).unwrap();
        client.pause().unwrap();
        assert!(matches!(client.set_balloon(1), Err(Error::NoBalloon)));
        client.resume().unwrap();
        drop(client);
        let requests: Vec<String> = requests.iter().collect();
        assert_eq!(requests.last().unwrap(), "PUT /api/v1/vm.resume");
    }

    #[test]
    fn before_it_boots_the_button_is_pressed_again_later() {
        let (_dir, socket, _requests) = serve(|_| (404, r#"["The VM is not booted"]"#.to_owned()));
        let mut client = connect(&socket).unwrap();
        client.power_down().unwrap();
        assert_eq!(client.state().unwrap(), RunState::Between);
    }
}
