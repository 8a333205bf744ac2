//! [`Ages`] and [`Standing`]: what the age of a value means, as plain arithmetic.

use std::time::Duration;

use brolly_sync::{NEVER, saturating_nanos};

/// The moments that matter to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ages {
    /// From then on it is loaded ahead of its end.
    pub(crate) due: u64,
    /// From then on it is past its time to live.
    pub(crate) expires: u64,
}

/// How a value is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Served.
    Fresh,
    /// Served, and loaded anew behind it.
    Aging,
    /// Past its time to live. Served, and loaded anew behind it.
    Stale,
    /// Past its time to live. Served only if a load fails.
    Reserve,
    /// No longer of any use.
    Gone,
}

/// For how long values are good.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spans {
    pub(crate) time_to_live: Option<Duration>,
    pub(crate) refresh_after: Option<Duration>,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
}

impl Spans {
    /// The moments of a value that comes now.
    pub(crate) fn ages(&self, now: u64) -> Ages {
        let after = |span: Option<Duration>| match span {
            Some(span) => now.saturating_add(saturating_nanos(span)),
            None => NEVER,
        };
        Ages {
            due: after(self.refresh_after),
            expires: after(self.time_to_live),
        }
    }

    pub(crate) fn standing(&self, ages: Ages, now: u64) -> Standing {
        if ages.expires == NEVER || now < ages.expires {
            return match ages.due == NEVER || now < ages.due {
                true => Standing::Fresh,
                false => Standing::Aging,
            };
        }
        let since = now - ages.expires;
        // At its very end a window is over, as a time to live is.
        let covers =
            |window: Option<Duration>| window.is_some_and(|it| since < saturating_nanos(it));
        if covers(self.stale_while_revalidate) {
            Standing::Stale
        } else if covers(self.stale_if_error) {
            Standing::Reserve
        } else {
            Standing::Gone
        }
    }

    /// How long a failed refresh is left alone while an older value is served: a second, or an
    /// eighth of the time in which it can be served, if that is less.
    pub(crate) fn pause(&self) -> Duration {
        const AT_MOST: Duration = Duration::from_secs(1);
        let ahead = match (self.refresh_after, self.time_to_live) {
            (Some(due), Some(end)) => Some(end.saturating_sub(due)),
            (due, _) => due,
        };
        let window = self.stale_while_revalidate.max(ahead);
        window.map_or(Duration::ZERO, |it| (it / 8).min(AT_MOST))
    }
}

impl Ages {
    /// Until then a value is served without a second look.
    pub(crate) fn fresh_until(&self) -> u64 {
        self.due.min(self.expires)
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Option<Duration> {
        Some(Duration::from_secs(secs))
    }

    const ALL: Spans = Spans {
        time_to_live: secs(10),
        refresh_after: secs(8),
        stale_while_revalidate: secs(5),
        stale_if_error: secs(20),
    };

    fn at(spans: &Spans, second: u64) -> Standing {
        let origin = saturating_nanos(Duration::from_secs(100));
        let now = origin + saturating_nanos(Duration::from_secs(second));
        spans.standing(spans.ages(origin), now)
    }

    #[test]
    fn a_value_passes_through_every_standing_in_order() {
        let seen = [0, 7, 8, 9, 10, 14, 15, 29, 30, 1_000].map(|second| at(&ALL, second));
        use Standing::*;
        let expected = [
            Fresh, Fresh, Aging, Aging, Stale, Stale, Reserve, Reserve, Gone, Gone,
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn without_a_time_to_live_nothing_ends() {
        let spans = Spans::default();
        assert_eq!(spans.standing(spans.ages(5), NEVER - 1), Standing::Fresh);
        assert_eq!(spans.ages(5).fresh_until(), NEVER);
    }

    #[test]
    fn the_longest_durations_saturate() {
        let spans = Spans {
            time_to_live: Some(Duration::MAX),
            refresh_after: secs(1),
            stale_while_revalidate: Some(Duration::MAX),
            stale_if_error: Some(Duration::MAX),
        };
        let ages = spans.ages(NEVER - 2);
        assert_eq!(ages.expires, NEVER);
        assert_eq!(spans.standing(ages, NEVER - 1), Standing::Fresh);
        assert_eq!(spans.pause(), Duration::from_secs(1));
    }

    #[test]
    fn a_pause_is_an_eighth_of_what_can_be_served_and_a_second_at_most() {
        let ahead = Spans {
            stale_while_revalidate: None,
            ..ALL
        };
        assert_eq!(ahead.pause(), Duration::from_millis(250));
        assert_eq!(ALL.pause(), Duration::from_millis(625));
        assert_eq!(Spans::default().pause(), Duration::ZERO);
    }
}
