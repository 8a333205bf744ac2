//! Delays grow to their limit and never beyond it, and the same seed draws the same delays.

use std::time::Duration;

use brolly_sync::{Backoff, BackoffError, Jitter};
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

#[test]
fn delays_grow_by_the_factor_up_to_the_limit() {
    let mut backoff = Backoff::builder()
        .initial(10 * MS)
        .max(50 * MS)
        .factor(1.5)
        .jitter(Jitter::None)
        .build()
        .unwrap();
    let delays: Vec<_> = (0..6).map(|_| backoff.next_delay().as_micros()).collect();
    assert_eq!(delays, [10_000, 15_000, 22_500, 33_750, 50_000, 50_000]);
    assert_eq!(backoff.attempts(), 6);
    backoff.reset();
    assert_eq!((backoff.attempts(), backoff.next_delay()), (0, 10 * MS));
}

#[test]
fn a_factor_of_one_keeps_the_delay() {
    let mut backoff = Backoff::builder()
        .initial(7 * MS)
        .factor(1.0)
        .jitter(Jitter::None)
        .build()
        .unwrap();
    assert!((0..100).all(|_| backoff.next_delay() == 7 * MS));
}

#[test]
fn the_same_seed_draws_the_same_delays_and_others_do_not() {
    let draw = |seed| {
        let mut backoff = Backoff::builder().seed(seed).build().unwrap();
        [(); 8].map(|()| backoff.next_delay())
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn values_without_a_seed_differ_from_each_other() {
    let mut one = Backoff::builder().build().unwrap();
    let mut other = Backoff::builder().build().unwrap();
    let mut fresh = one.fresh();
    let mut clone = one.clone();
    let [one, other, fresh, clone] = [&mut one, &mut other, &mut fresh, &mut clone]
        .map(|backoff| [(); 8].map(|()| backoff.next_delay()));
    assert_ne!(one, other);
    assert_ne!(one, fresh);
    assert_eq!(one, clone, "a clone repeats");
}

#[test]
fn a_fresh_one_starts_from_the_first_delay() {
    let mut backoff = Backoff::builder().jitter(Jitter::None).build().unwrap();
    let first = backoff.next_delay();
    backoff.next_delay();
    let mut fresh = backoff.fresh();
    assert_eq!((fresh.attempts(), fresh.next_delay()), (0, first));
}

#[test]
fn jitter_spreads_over_its_whole_range_and_evenly() {
    const DRAWS: u32 = 10_000;
    for (jitter, low, high) in [
        (Jitter::Full, 0, 100),
        (Jitter::Equal, 50, 100),
        (Jitter::Proportional(0.2), 80, 120),
        (Jitter::Proportional(0.0), 100, 100),
        (Jitter::Proportional(1.0), 0, 200),
        (Jitter::Above(0.1), 100, 110),
    ] {
        let mut backoff = Backoff::builder()
            .initial(100 * MS)
            .factor(1.0)
            .jitter(jitter)
            .seed(7)
            .build()
            .unwrap();
        let draws: Vec<_> = (0..DRAWS).map(|_| backoff.next_delay()).collect();
        let (low, high) = (low * MS, high * MS);
        assert!(
            draws.iter().all(|delay| (low..=high).contains(delay)),
            "{jitter:?}"
        );
        let (least, most) = (draws.iter().min().unwrap(), draws.iter().max().unwrap());
        let margin = (high - low) / 100;
        assert!(
            *least <= low + margin && *most >= high - margin,
            "{jitter:?}"
        );
        let mean = draws.iter().sum::<Duration>() / DRAWS;
        assert!(
            mean.abs_diff((low + high) / 2) <= margin,
            "{jitter:?}: {mean:?}"
        );
    }
}

#[test]
fn at_the_limit_proportional_jitter_still_spreads() {
    let mut backoff = Backoff::builder()
        .initial(100 * MS)
        .max(100 * MS)
        .jitter(Jitter::Proportional(0.5))
        .seed(7)
        .build()
        .unwrap();
    let draws: Vec<_> = (0..1_000).map(|_| backoff.next_delay()).collect();
    assert!(
        draws
            .iter()
            .all(|delay| (50 * MS..=100 * MS).contains(delay))
    );
    let at_the_limit = draws.iter().filter(|&&delay| delay > 99 * MS).count();
    assert!(
        at_the_limit < 100,
        "they do not pile up there: {at_the_limit}"
    );
}

#[test]
fn settings_out_of_range_are_named_with_their_range() {
    let builder = Backoff::builder;
    let refused = |result: Result<Backoff, BackoffError>| {
        let error = result.unwrap_err();
        (error.field(), error.to_string())
    };
    assert_eq!(
        refused(builder().initial(Duration::ZERO).build()),
        (
            "initial",
            "initial is 0ns; allowed: 1ns to max, which is 30s".to_owned()
        )
    );
    assert_eq!(
        refused(builder().initial(2 * MS).max(MS).build()),
        (
            "initial",
            "initial is 2ms; allowed: 1ns to max, which is 1ms".to_owned()
        )
    );
    for factor in [0.99, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(
            refused(builder().factor(factor).build()),
            (
                "factor",
                format!("factor is {factor}; allowed: finite, at least 1")
            )
        );
    }
    for fraction in [-0.1, 1.1, f64::NAN] {
        assert_eq!(
            refused(builder().jitter(Jitter::Proportional(fraction)).build()),
            ("jitter", format!("jitter is {fraction}; allowed: 0 to 1"))
        );
        let above = builder().jitter(Jitter::Above(fraction)).build();
        assert_eq!(refused(above).0, "jitter");
    }
}

fn jitter() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        (0.0..=1.0_f64).prop_map(Jitter::Proportional),
        (0.0..=1.0_f64).prop_map(Jitter::Above),
    ]
}

/// Durations of every magnitude, the extremes included.
fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::from_nanos(1)),
        Just(Duration::MAX),
        (0..64_u32, 0..1_000_000_000_u32)
            .prop_map(|(bits, nanos)| Duration::new(u64::MAX >> bits, nanos)),
        (1..1_000_000_000_u32).prop_map(|nanos| Duration::new(0, nanos)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_delay_is_within_its_bounds(
        (a, b) in (duration(), duration()),
        factor in prop_oneof![Just(1.0), 1.0..4.0_f64, Just(f64::MAX)],
        jitter in jitter(),
        seed: u64,
    ) {
        let (initial, max) = (a.min(b), a.max(b));
        let builder = Backoff::builder().initial(initial).max(max).factor(factor);
        let mut backoff = builder.jitter(jitter).seed(seed).build().unwrap();
        let mut plain = builder.jitter(Jitter::None).build().unwrap();
        let mut last = Duration::ZERO;
        for _ in 0..80 {
            let (delay, base) = (backoff.next_delay(), plain.next_delay());
            prop_assert!(initial <= base && base <= max);
            prop_assert!(last <= base, "the base never shrinks");
            last = base;
            let (low, high) = match jitter {
                Jitter::Full => (Duration::ZERO, base),
                Jitter::Equal => (base / 2, base),
                // Floating point carries 53 bits.
                Jitter::Proportional(fraction) => {
                    let low = base.as_secs_f64() * (1.0 - fraction) * (1.0 - 1e-12);
                    let high = base.as_secs_f64() * (1.0 + fraction) * (1.0 + 1e-12);
                    let nano = Duration::from_nanos(1);
                    let low = Duration::try_from_secs_f64(low).unwrap_or(max).saturating_sub(nano);
                    let high = Duration::try_from_secs_f64(high).unwrap_or(max).saturating_add(nano);
                    (low, high.min(max))
                }
                Jitter::Above(fraction) => {
                    let high = base.as_secs_f64() * (1.0 + fraction) * (1.0 + 1e-12);
                    let high = Duration::try_from_secs_f64(high).unwrap_or(Duration::MAX);
                    (base, high.max(base).saturating_add(Duration::from_nanos(1)))
                }
                _ => (base, base),
            };
            prop_assert!(low <= delay && delay <= high, "{low:?} <= {delay:?} <= {high:?}");
        }
    }
}

#[test]
fn jitter_above_is_never_shorter_than_the_base_even_at_the_limit() {
    let mut backoff = Backoff::builder()
        .initial(100 * MS)
        .max(200 * MS)
        .jitter(Jitter::Above(0.5))
        .seed(7)
        .build()
        .unwrap();
    assert!((100 * MS..=150 * MS).contains(&backoff.next_delay()));
    let draws: Vec<_> = (0..1_000).map(|_| backoff.next_delay()).collect();
    assert!(
        draws
            .iter()
            .all(|delay| (200 * MS..=300 * MS).contains(delay))
    );
    assert!(draws.iter().any(|delay| *delay > 290 * MS));
}

#[test]
fn a_delay_too_short_to_multiply_grows_all_the_same() {
    for (nanos, factor) in [(1, 1.3), (400, 1.001)] {
        let mut backoff = Backoff::builder()
            .initial(Duration::from_nanos(nanos))
            .max(Duration::from_micros(10))
            .factor(factor)
            .jitter(Jitter::None)
            .build()
            .expect("good settings");
        let delays: Vec<_> = (0..20_000).map(|_| backoff.next_delay()).collect();
        assert_eq!(delays.last(), Some(&Duration::from_micros(10)));
    }
}
