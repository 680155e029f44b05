//! Calendar time. Computed here: the C library's gmtime_r opens the system's time zone, and TZ can make it count leap
//! seconds.

use std::time::{SystemTime, UNIX_EPOCH};

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// March first: the day that leap years add is the last of such a year.
const MONTHS: [&str; 12] = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];

/// Days from 1 March of the year 0 to 1 January 1970.
const BEFORE_1970: u64 = 719_468;

const DAY: u64 = 24 * 60 * 60;
const YEARS_1: u64 = 365;
const YEARS_4: u64 = 4 * YEARS_1 + 1;
const YEARS_100: u64 = 25 * YEARS_4 - 1;
const YEARS_400: u64 = 4 * YEARS_100 + 1;

/// `now` in UTC, as mbox files show it: `Sun Nov 22 07:13:18 2026`. A clock that stands before 1970 shows its beginning.
#[must_use]
pub fn date(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / DAY, seconds % DAY);
    let weekday = name(&WEEKDAYS, (days + 4) % 7);
    let days = days + BEFORE_1970;
    let (mut year, days) = (days / YEARS_400 * 400, days % YEARS_400);
    // The last day of 400 years, and of 4, belongs to the year before it.
    let hundreds = (days / YEARS_100).min(3);
    let days = days - hundreds * YEARS_100;
    let (fours, days) = (days / YEARS_4, days % YEARS_4);
    let ones = (days / YEARS_1).min(3);
    let days = days - ones * YEARS_1;
    year += hundreds * 100 + fours * 4 + ones;
    // From March on, five months have 153 days.
    let month = (days * 5 + 2) / 153;
    let day = days - (month * 153 + 2) / 5 + 1;
    if month >= 10 {
        year += 1;
    }
    let month = name(&MONTHS, month);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} {year}")
}

fn name(names: &[&'static str], number: u64) -> &'static str {
    usize::try_from(number).ok().and_then(|number| names.get(number)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> String {
        date(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn dates_of_known_moments() {
        for (seconds, date) in [
            (0, "Thu Jan 01 00:00:00 1970"),
            (951_782_399, "Mon Feb 28 23:59:59 2000"),
            (951_782_400, "Tue Feb 29 00:00:00 2000"),
            (951_868_800, "Wed Mar 01 00:00:00 2000"),
            (1_230_768_000, "Thu Jan 01 00:00:00 2009"),
            (1_795_331_598, "Sun Nov 22 07:13:18 2026"),
            (2_147_483_648, "Tue Jan 19 03:14:08 2038"),
            (4_107_542_399, "Sun Feb 28 23:59:59 2100"),
            (4_107_542_400, "Mon Mar 01 00:00:00 2100"),
        ] {
            assert_eq!(at(seconds), date);
        }
        assert_eq!(date(UNIX_EPOCH - Duration::from_secs(1)), at(0));
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let mut weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"].into_iter().cycle();
        let mut noon = DAY / 2;
        for year in 1970..2810 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, length) in names.into_iter().zip(lengths) {
                for day in 1..=length {
                    let weekday = weekdays.next().unwrap();
                    assert_eq!(at(noon), format!("{weekday} {month} {day:02} 12:00:00 {year}"));
                    noon += DAY;
                }
            }
        }
    }
}
