//! Names of integration branches: prefix, time, random part.

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

/// A name that nobody had before: the time in UTC for people, 64 random bits against coincidence.
pub(super) fn unique(prefix: &str) -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    // The keys of the standard library's hash maps are the system's randomness, and each state differs from the last.
    let random = RandomState::new().hash_one(seconds);
    format!("{prefix}{}-{random:016x}", timestamp(seconds))
}

/// `20260131-235959` from seconds since 1970. Days to a date as in Howard Hinnant's "chrono-compatible low-level date
/// algorithms": years begin in March, so that the leap day is the last.
fn timestamp(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::{timestamp, unique};

    #[test]
    fn timestamps_are_dates() {
        assert_eq!(timestamp(0), "19700101-000000");
        assert_eq!(timestamp(951_782_400), "20000229-000000");
        assert_eq!(timestamp(951_868_800), "20000301-000000");
        assert_eq!(timestamp(1_767_225_599), "20251231-235959");
        assert_eq!(timestamp(4_107_542_400), "21000301-000000");
    }

    #[test]
    fn two_names_of_one_second_differ() {
        assert_ne!(unique("x/"), unique("x/"));
    }
}
