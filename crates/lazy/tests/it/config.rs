//! Settings that make no sense are refused, with the field, the value and what is allowed.

use std::time::Duration;

use brolly_lazy::{ConfigError, Lazy, LazyBuilder, LazyMap};
use brolly_sync::Backoff;

fn refusal(builder: LazyBuilder) -> (&'static str, String, &'static str) {
    let ConfigError {
        field,
        value,
        allowed,
        ..
    } = builder.build_sync(|| 7).unwrap_err();
    (field, value, allowed)
}

const ZERO: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn durations_of_zero_are_refused_wherever_they_are_given() {
    let mortal = || Lazy::builder().time_to_live(SECOND);
    let builders: [(&str, LazyBuilder); 6] = [
        ("time_to_live", Lazy::builder().time_to_live(ZERO)),
        ("refresh_after", mortal().refresh_after(ZERO)),
        (
            "stale_while_revalidate",
            mortal().stale_while_revalidate(ZERO),
        ),
        ("stale_if_error", mortal().stale_if_error(ZERO)),
        ("cache_errors_for", mortal().cache_errors_for(ZERO)),
        ("load_timeout", mortal().load_timeout(ZERO)),
    ];
    for (field, builder) in builders {
        let expected = (field, String::from("0ns"), "more than zero");
        assert_eq!(refusal(builder), expected);
    }
}

#[test]
fn a_refresh_that_would_come_too_late_is_refused() {
    for late in [SECOND, Duration::MAX] {
        let builder = Lazy::builder().time_to_live(SECOND).refresh_after(late);
        let expected = (
            "refresh_after",
            format!("{late:?}"),
            "less than time_to_live",
        );
        assert_eq!(refusal(builder), expected);
    }
    // Without an end there is no too late.
    let builder = Lazy::builder().refresh_after(SECOND);
    assert!(builder.build_sync(|| 7).is_ok());
}

#[test]
fn stale_values_need_an_end_to_be_stale_after() {
    let builders = [
        (
            "stale_while_revalidate",
            Lazy::builder().stale_while_revalidate(SECOND),
        ),
        ("stale_if_error", Lazy::builder().stale_if_error(SECOND)),
    ];
    for (field, builder) in builders {
        let expected = (field, String::from("1s"), "only beside a time_to_live");
        assert_eq!(refusal(builder), expected);
    }
}

#[test]
fn no_attempt_at_all_is_refused() {
    let backoff = Backoff::builder().build().unwrap();
    let expected = ("retry", String::from("0"), "1 or more");
    assert_eq!(refusal(Lazy::builder().retry(0, backoff.clone())), expected);
    assert!(Lazy::builder().retry(1, backoff).build_sync(|| 7).is_ok());
}

#[test]
fn a_map_without_room_is_refused() {
    let error = LazyMap::<u32, u32>::new_sync(0, |key| key).unwrap_err();
    assert_eq!(error.to_string(), "max_len is 0, allowed is 1 or more");
    let each = Lazy::builder().time_to_live(ZERO);
    let error = LazyMap::builder().each(each).build_sync(|key: u32| key);
    assert_eq!(error.unwrap_err().field, "time_to_live");
}

#[test]
fn the_longest_durations_are_taken() {
    let backoff = Backoff::builder().max(Duration::MAX).build().unwrap();
    let lazy = Lazy::builder()
        .time_to_live(Duration::MAX)
        .refresh_after(Duration::MAX - Duration::from_nanos(1))
        .stale_while_revalidate(Duration::MAX)
        .stale_if_error(Duration::MAX)
        .cache_errors_for(Duration::MAX)
        .load_timeout(Duration::MAX)
        .retry(u32::MAX, backoff)
        .build_sync(|| 7)
        .unwrap();
    assert_eq!(*lazy.get_blocking(), 7);
}
