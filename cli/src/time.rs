//! The time as RFC 3339 in UTC, as engines parse it.

use vial_init::sys::clock_gettime::realtime;

/// Now, with nanoseconds: `2026-11-23T07:14:43.000000000Z`.
pub fn now() -> String {
    let now = realtime().unwrap_or_default(); // Every kernel has this clock.
    format!("{}.{:09}Z", text(now.seconds), now.nanoseconds)
}

/// Now, with seconds: `2026-11-23T07:14:43Z`.
pub fn now_in_seconds() -> String {
    format!("{}Z", text(realtime().unwrap_or_default().seconds))
}

fn text(since_1970: i64) -> String {
    let seconds = since_1970.unsigned_abs(); // The kernel refuses to set a negative time.
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day, from days since 1970-01-01. Years begin in March here, so
/// that the leap day is a year's last: five months from there have 153 days, and
/// 400 years have 146097.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, of_month)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_dates() {
        for (day, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (19_782, (2024, 2, 29)),
            (20_780, (2026, 11, 23)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(day), expected, "day {day}");
        }
    }
}
