//! The time of a run, and how the From_ line writes it.

use qmail_lookup_tests::check::{Outcome, equal};
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970 that may appear in what a run leaves behind, if it began at `begun` and ends now.
pub(super) fn since(begun: SystemTime) -> RangeInclusive<u64> {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    // The kernel's coarse clock may lag behind by a tick.
    seconds(begun).saturating_sub(1)..=seconds(SystemTime::now())
}

/// `Sun Nov 22 07:13:18 2026`, in UTC.
pub(super) fn date(seconds: u64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [(&str, u64); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = WEEKDAYS.iter().cycle().nth(usize::try_from(days % 7).unwrap_or_default()).unwrap_or(&"");
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = "";
    for (name, length) in MONTHS {
        let length = length + u64::from(name == "Feb" && is_leap(year));
        month = name;
        if left < length {
            break;
        }
        left -= length;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{weekday} {month} {:02} {hour:02}:{minute:02}:{:02} {year}", left + 1, second % 60)
}

/// Against what date(1) says.
pub(super) fn dates() -> Outcome {
    for (seconds, want) in [
        (0, "Thu Jan 01 00:00:00 1970"),
        (951_782_399, "Mon Feb 28 23:59:59 2000"),
        (951_782_400, "Tue Feb 29 00:00:00 2000"),
        (1_735_689_599, "Tue Dec 31 23:59:59 2024"),
        (1_795_331_598, "Sun Nov 22 07:13:18 2026"),
        (4_107_542_400, "Mon Mar 01 00:00:00 2100"),
    ] {
        equal("date", date(seconds), want.to_owned())?;
    }
    Ok(())
}
