//! Rows of figures.

use std::time::{Duration, Instant};

use harness::Outcome;

#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 3]>,
}

impl Table {
    /// A figure and what it is compared with.
    pub fn row(&mut self, what: &str, figure: String, compared: String) {
        eprintln!("{what}: {figure} ({compared})");
        self.rows.push([what.to_owned(), figure, compared]);
    }

    pub fn print(&self) {
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let (first, second) = (width(0), width(1));
        println!(
            "| {:first$} | {:second$} | compared with |",
            "what", "median"
        );
        println!("|-{}-|-{}-|---|", "-".repeat(first), "-".repeat(second));
        for [what, figure, compared] in &self.rows {
            println!("| {what:first$} | {figure:second$} | {compared} |");
        }
    }
}

/// Median of the times of several runs.
pub fn median(runs: usize, mut run: impl FnMut() -> Outcome<Duration>) -> Outcome<Duration> {
    let mut times = (0..runs).map(|_| run()).collect::<Outcome<Vec<_>>>()?;
    times.sort();
    Ok(times[times.len() / 2])
}

/// Wall-clock time of a step.
pub fn timed<T>(step: impl FnOnce() -> Outcome<T>) -> Outcome<Duration> {
    let start = Instant::now();
    step()?;
    Ok(start.elapsed())
}

pub fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
