//! The columns of the table, and which of them a narrow terminal has.

use super::figures::{NOTHING, bytes, or_nothing, percent, uptime};
use super::row::{Doing, Row};

/// One column.
pub struct Column {
    pub heading: &'static str,
    /// Figures are at the right of it.
    pub is_figure: bool,
    /// As little as it can do with.
    pub least: usize,
    /// The highest goes first where there is no room.
    goes: u8,
    pub cell: fn(&Row) -> String,
}

const fn words(heading: &'static str, least: usize, goes: u8, cell: fn(&Row) -> String) -> Column {
    Column {
        heading,
        is_figure: false,
        least,
        goes,
        cell,
    }
}

const fn figure(heading: &'static str, least: usize, goes: u8, cell: fn(&Row) -> String) -> Column {
    Column {
        heading,
        is_figure: true,
        least,
        goes,
        cell,
    }
}

pub const COLUMNS: [Column; 11] = [
    words("NAME", 8, 0, |row| row.name.clone()),
    words("STATE", 8, 0, |row| state(row.doing).to_owned()),
    words("HYPERVISOR", 10, 4, |row| {
        or_nothing(row.hypervisor.clone(), |name| name)
    }),
    figure("CPU", 5, 1, |row| {
        or_nothing(row.rates.processor_percent, percent)
    }),
    figure("HOST", 5, 2, |row| or_nothing(row.host_bytes, bytes)),
    figure("GUEST", 5, 3, |row| {
        or_nothing(row.guest_mib, |mib| bytes(mib << 20))
    }),
    figure("NET-IN", 6, 6, |row| rate(row.rates.received)),
    figure("OUT", 5, 6, |row| rate(row.rates.sent)),
    figure("READ", 5, 7, |row| rate(row.rates.disk_read)),
    figure("WRITE", 5, 7, |row| rate(row.rates.disk_written)),
    figure("UPTIME", 6, 5, |row| or_nothing(row.uptime, uptime)),
];

/// Between columns.
pub const GAP: usize = 1;

/// Columns with their widths: those that there is room for, as wide as their cells want, if that
/// can be.
pub fn fitting(rows: &[Row], room: usize) -> Vec<(&'static Column, usize)> {
    static ALL: [Column; 11] = COLUMNS;
    let mut chosen: Vec<&Column> = ALL.iter().collect();
    while least(&chosen) > room {
        let Some(goes) = chosen.iter().map(|column| column.goes).max() else {
            break;
        };
        if goes == 0 {
            break;
        }
        chosen.retain(|column| column.goes < goes);
    }
    let mut spare = room.saturating_sub(least(&chosen));
    let widened = chosen.into_iter().map(|column| {
        let more = wanted(column, rows).saturating_sub(column.least).min(spare);
        spare -= more;
        (column, column.least + more)
    });
    widened.collect()
}

fn least(columns: &[&Column]) -> usize {
    let gaps = columns.len().saturating_sub(1) * GAP;
    columns.iter().map(|column| column.least).sum::<usize>() + gaps
}

fn wanted(column: &Column, rows: &[Row]) -> usize {
    let cells = rows.iter().map(|row| (column.cell)(row).chars().count());
    cells.max().unwrap_or(0).max(column.heading.len())
}

/// `starting or stopping` is more than a column has.
fn state(doing: Doing) -> &'static str {
    match doing {
        Doing::Between => "changing",
        other => other.as_str(),
    }
}

fn rate(rate: Option<u64>) -> String {
    rate.map_or(NOTHING.to_owned(), bytes)
}
