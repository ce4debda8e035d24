//! Figures in few characters.

use std::time::Duration;

/// Where a figure is not known.
pub const NOTHING: &str = "-";

/// `0`, `999B`, `1.5K`, `12M`: at most four characters below 1000 TiB, of 1024 each.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "K", "M", "G", "T"];
    if bytes == 0 {
        return "0".to_owned();
    }
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit > 0 && value < 9.95 {
        true => format!("{value:.1}{}", UNITS[unit]),
        false => format!("{value:.0}{}", UNITS[unit]),
    }
}

/// `0.4%`, `35%`, `200%` of one processor.
pub fn percent(percent: f64) -> String {
    match percent {
        p if p > 0.0 && p < 9.95 => format!("{p:.1}%"),
        p => format!("{p:.0}%"),
    }
}

/// `3s`, `5m03s`, `2h05m`, `3d02h`, `400d`: at most six characters for 273 years.
pub fn uptime(uptime: Duration) -> String {
    let seconds = uptime.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        (..100, _, _) => format!("{days}d{:02}h", hours % 24),
        _ => format!("{days}d"),
    }
}

/// What is known of a figure.
pub fn or_nothing<T>(figure: Option<T>, shown: impl FnOnce(T) -> String) -> String {
    figure.map_or(NOTHING.to_owned(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(0, "0")]
    #[case(999, "999B")]
    #[case(1000, "1.0K")]
    #[case(1536, "1.5K")]
    #[case(10_189, "10K")]
    #[case(12 << 20, "12M")]
    #[case(1000 << 20, "1.0G")]
    #[case(u64::MAX, "16777216T")]
    fn bytes_are_short(#[case] value: u64, #[case] expected: &str) {
        assert_eq!(bytes(value), expected);
    }

    #[rstest::rstest]
    #[case(0.0, "0%")]
    #[case(0.44, "0.4%")]
    #[case(9.96, "10%")]
    #[case(199.9, "200%")]
    fn percents_are_short(#[case] value: f64, #[case] expected: &str) {
        assert_eq!(percent(value), expected);
    }

    #[rstest::rstest]
    #[case(3, "3s")]
    #[case(303, "5m03s")]
    #[case(7_500, "2h05m")]
    #[case(266_400, "3d02h")]
    #[case(34_560_000, "400d")]
    fn uptimes_are_short(#[case] seconds: u64, #[case] expected: &str) {
        assert_eq!(uptime(Duration::from_secs(seconds)), expected);
    }
}
