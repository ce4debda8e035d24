//! One sample, for programs.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::look::{Looker, Settings};
use super::row::Row;
use crate::error::{Error, Kind, Result};

/// Hypervisors have so long to answer, unless the interval is longer.
const ANSWERS: Duration = Duration::from_secs(2);

/// Prints what is seen after an interval, over which rates are taken.
pub fn print_one(settings: Settings) -> Result<ExitCode> {
    let interval = settings.interval;
    let start = Instant::now();
    let mut looker = Looker::new(settings.fleet);
    looker.look();
    std::thread::sleep(interval);
    while looker.waits() && start.elapsed() < ANSWERS {
        std::thread::sleep(Duration::from_millis(10));
    }
    let seen = looker.look();
    if let Some(problem) = seen.problem {
        return Err(Error::new(Kind::Storage, problem));
    }
    let rows = seen.rows.iter().map(Row::json).collect();
    println!("{:#}", serde_json::Value::Array(rows));
    Ok(ExitCode::SUCCESS)
}
