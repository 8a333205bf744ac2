//! The throttle: closes under pressure, never holds anybody for ever, and says so once.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use brolly_batch::{
    ConfigError, Pressure, Reading, Throttle, ThrottleBuilder, ThrottleChange, ThrottleEvent,
    Throttled,
};
use brolly_sync::{Clock, ManualClock};
use proptest::prelude::*;

use crate::support::{Wakes, within_a_minute};

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(100);

/// A source that is set by hand and counts its readings.
#[derive(Clone, Debug, Default)]
struct Dial(Arc<DialState>);

#[derive(Debug, Default)]
struct DialState {
    percent: AtomicU64,
    is_silent: AtomicBool,
    reads: AtomicUsize,
}

impl Dial {
    fn at(percent: u64) -> Self {
        let dial = Self::default();
        dial.set(percent);
        dial
    }

    fn set(&self, percent: u64) {
        self.0.percent.store(percent, Ordering::SeqCst);
    }

    fn silence(&self, is_silent: bool) {
        self.0.is_silent.store(is_silent, Ordering::SeqCst);
    }

    fn reads(&self) -> usize {
        self.0.reads.load(Ordering::SeqCst)
    }
}

impl Pressure for Dial {
    fn read(&self) -> Option<Reading> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        let percent = self.0.percent.load(Ordering::SeqCst);
        (!self.0.is_silent.load(Ordering::SeqCst)).then(|| Reading::new(percent * 10, 1_000))
    }

    fn name(&self) -> &'static str {
        "dial"
    }
}

fn builder(clock: &ManualClock, dial: &Dial) -> ThrottleBuilder {
    Throttle::builder()
        .source(dial.clone())
        .timer(clock.clone())
        .sample_interval(INTERVAL)
}

fn setup(percent: u64) -> (ManualClock, Dial, Throttle) {
    let clock = ManualClock::new();
    let dial = Dial::at(percent);
    let throttle = builder(&clock, &dial).build().expect("settings in range");
    (clock, dial, throttle)
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn poll_with<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn settings_out_of_range_are_refused() {
    let refused = |builder: ThrottleBuilder| builder.build().unwrap_err();
    assert_eq!(
        refused(Throttle::builder().threshold_percent(101)),
        ConfigError::OutOfRange {
            field: "threshold_percent",
            value: 101,
            min: 0,
            max: 100
        }
    );
    assert_eq!(
        refused(Throttle::builder().threshold_percent(50).resume_percent(51)),
        ConfigError::OutOfRange {
            field: "resume_percent",
            value: 51,
            min: 0,
            max: 50
        }
    );
    let source = Dial::default();
    assert!(matches!(
        refused(Throttle::builder().source_with(source, 20, 30)),
        ConfigError::OutOfRange {
            field: "resume_percent",
            ..
        }
    ));
    assert!(matches!(
        refused(Throttle::builder().sample_interval(Duration::from_millis(9))),
        ConfigError::DurationOutOfRange {
            field: "sample_interval",
            ..
        }
    ));
}

#[test]
fn low_pressure_admits_at_the_first_poll() {
    let (_clock, _dial, throttle) = setup(79);
    assert_eq!(poll(pin!(throttle.admit())), Poll::Ready(Ok(())));
    assert_eq!(throttle.try_admit(), Ok(()));
    assert_eq!(throttle.admit_blocking(), Ok(()));
    let stats = throttle.stats();
    assert_eq!(
        (stats.source, stats.used, stats.limit),
        ("dial", 790, 1_000)
    );
    assert_eq!((stats.percent, stats.throttled), (79.0, false));
    assert_eq!((stats.admitted, stats.refused, stats.throttles), (3, 0, 0));
}

#[test]
fn switched_off_or_without_sources_it_admits_at_once_and_reads_nothing() {
    let (clock, dial) = (ManualClock::new(), Dial::at(100));
    let off = builder(&clock, &dial).enabled(false).build().unwrap();
    assert_eq!(off.admit_blocking(), Ok(()));
    assert_eq!(dial.reads(), 0);
    let bare = Throttle::builder().timer(clock).build().unwrap();
    assert_eq!(bare.admit_blocking(), Ok(()));
}

/// The original waits for as long as the memory is full.
#[test]
fn high_pressure_refuses_after_the_longest_wait_and_never_holds_for_ever() {
    let (clock, dial, throttle) = setup(85);
    let mut admit = pin!(throttle.admit());
    for _ in 0..300 {
        assert!(poll(admit.as_mut()).is_pending(), "at {:?}", clock.now());
        clock.advance(INTERVAL);
    }
    dial.set(90);
    let Poll::Ready(Err(refused)) = poll(admit.as_mut()) else {
        panic!("30 seconds are over");
    };
    assert_eq!((refused.source_name, refused.waited), ("dial", 30 * SECOND));
    assert_eq!(
        (refused.used, refused.limit, refused.percent),
        (900, 1_000, 90.0)
    );
    assert_eq!(
        refused.to_string(),
        "throttled for 30s: dial is at 90.0 per cent (900 of 1000)"
    );
    let stats = throttle.stats();
    assert_eq!((stats.refused, stats.waiting), (1, 0));
    assert_eq!(stats.waited_total, 30 * SECOND);
    assert_eq!(stats.throttled_total, 30 * SECOND);
}

#[test]
fn a_waiter_wakes_by_itself_when_its_time_is_over() {
    let (clock, _dial, throttle) = setup(85);
    let (wakes, waker) = Wakes::new();
    let mut admit = pin!(throttle.admit());
    let mut polls = 0;
    while poll_with(admit.as_mut(), &waker).is_pending() {
        polls += 1;
        let before = wakes.count();
        clock.set(clock.next_deadline().expect("it sleeps"));
        assert!(wakes.count() > before, "nobody wakes it");
    }
    assert_eq!(clock.now(), 30 * SECOND);
    assert_eq!(polls, 300, "one look for each interval");
}

#[test]
fn a_waiter_is_let_in_when_the_pressure_falls() {
    let (clock, dial, throttle) = setup(85);
    let mut admit = pin!(throttle.admit());
    assert!(poll(admit.as_mut()).is_pending());
    dial.set(75);
    clock.advance(INTERVAL);
    assert!(
        poll(admit.as_mut()).is_pending(),
        "75 is above the resume level"
    );
    dial.set(70);
    clock.advance(INTERVAL);
    assert_eq!(poll(admit), Poll::Ready(Ok(())));
    assert_eq!(throttle.stats().waited_total, 2 * INTERVAL);
}

#[test]
fn a_longest_wait_of_zero_refuses_at_once() {
    let (clock, dial) = (ManualClock::new(), Dial::at(85));
    let throttle = builder(&clock, &dial)
        .max_wait(Duration::ZERO)
        .build()
        .unwrap();
    let Poll::Ready(Err(refused)) = poll(pin!(throttle.admit())) else {
        panic!("no time to wait");
    };
    assert_eq!(refused.waited, Duration::ZERO);
}

#[test]
fn an_endless_wait_ends_when_the_pressure_falls() {
    let (clock, dial) = (ManualClock::new(), Dial::at(85));
    let throttle = builder(&clock, &dial)
        .max_wait(Duration::MAX)
        .build()
        .unwrap();
    let mut admit = pin!(throttle.admit());
    assert!(poll(admit.as_mut()).is_pending());
    clock.advance(1_000_000 * SECOND);
    assert!(poll(admit.as_mut()).is_pending());
    dial.set(0);
    clock.advance(INTERVAL);
    assert!(poll(admit).is_ready());
}

/// In the original a threshold of 0 becomes 80.
#[test]
fn a_threshold_of_zero_is_always_throttled() {
    let (clock, dial) = (ManualClock::new(), Dial::at(0));
    let throttle = builder(&clock, &dial).threshold_percent(0).build().unwrap();
    assert!(throttle.try_admit().is_err());
    dial.silence(true);
    clock.advance(INTERVAL);
    assert!(throttle.try_admit().is_err());
    let bare = Throttle::builder()
        .threshold_percent(0)
        .timer(clock)
        .build()
        .unwrap();
    assert!(bare.is_throttled());
    let others = Throttle::builder()
        .threshold_percent(0)
        .source_with(Dial::at(10), 90, 80)
        .build()
        .unwrap();
    assert!(others.is_throttled());
}

#[test]
fn a_source_that_says_nothing_holds_nobody_back() {
    let (clock, dial, throttle) = setup(85);
    assert!(throttle.is_throttled());
    dial.silence(true);
    clock.advance(INTERVAL);
    assert!(!throttle.is_throttled());
    let stats = throttle.stats();
    assert_eq!((stats.source, stats.limit, stats.silent), ("", 0, 1));
}

#[test]
fn a_source_that_panics_or_is_not_a_number_says_nothing() {
    let clock = ManualClock::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let throttle = Throttle::builder()
        .source(move || match counter.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("on purpose"),
            1 => Reading::from_percent(f64::NAN),
            2 => Reading::from_percent(f64::INFINITY),
            _ => Reading::from_percent(-5.0),
        })
        .timer(clock.clone())
        .build()
        .unwrap();
    let mut states = Vec::new();
    for _ in 0..4 {
        states.push(throttle.is_throttled());
        clock.advance(INTERVAL);
    }
    assert_eq!(states, [false, false, true, false]);
    assert_eq!(throttle.stats().silent, 2);
}

#[test]
fn the_sources_are_read_once_per_interval_however_hot_the_path() {
    let (clock, dial, throttle) = setup(10);
    for _ in 0..1_000 {
        throttle.try_admit().unwrap();
    }
    assert_eq!(dial.reads(), 1);
    clock.advance(INTERVAL);
    for _ in 0..1_000 {
        throttle.try_admit().unwrap();
    }
    assert_eq!((dial.reads(), throttle.stats().samples), (2, 2));
}

#[test]
fn of_many_waiters_one_reads_and_all_are_let_in() {
    let (clock, dial, throttle) = setup(85);
    let (wakes, waker) = Wakes::new();
    let mut waiters: Vec<_> = (0..100).map(|_| Box::pin(throttle.admit())).collect();
    for waiter in &mut waiters {
        assert!(poll_with(waiter.as_mut(), &waker).is_pending());
    }
    let reads = dial.reads();
    for _ in 0..5 {
        clock.advance(INTERVAL);
        assert!(poll_with(waiters[0].as_mut(), &waker).is_pending());
    }
    assert_eq!(dial.reads() - reads, 5);
    assert_eq!(wakes.count(), 5, "only the first in line was woken");
    dial.set(0);
    clock.advance(INTERVAL);
    assert!(poll_with(waiters[0].as_mut(), &waker).is_ready());
    assert_eq!(wakes.count(), 6 + 100, "the opening wakes all");
    for waiter in &mut waiters[1..] {
        assert!(poll_with(waiter.as_mut(), &waker).is_ready());
    }
    assert_eq!(throttle.stats().waiting, 0);
}

#[test]
fn a_first_in_line_that_is_dropped_at_any_poll_hands_its_duty_on() {
    for polls in 1..5 {
        let (clock, dial, throttle) = setup(85);
        let mut first = Box::pin(throttle.admit());
        assert!(poll(first.as_mut()).is_pending());
        let (wakes, waker) = Wakes::new();
        let mut second = Box::pin(throttle.admit());
        assert!(poll_with(second.as_mut(), &waker).is_pending());
        for _ in 1..polls {
            clock.advance(INTERVAL);
            assert!(poll(first.as_mut()).is_pending());
        }
        drop(first);
        assert_eq!(wakes.count(), 1, "it stands first now");
        assert!(poll_with(second.as_mut(), &waker).is_pending());
        assert_eq!((throttle.stats().waiting, clock.sleeping()), (1, 1));
        dial.set(0);
        clock.advance(INTERVAL);
        assert_eq!(wakes.count(), 2);
        assert!(poll_with(second.as_mut(), &waker).is_ready());
        drop(second);
        assert_eq!((throttle.stats().waiting, clock.sleeping()), (0, 0));
    }
}

/// Futures in a set that is not polled stand still, and so would all who rely on them.
#[test]
fn a_first_in_line_that_nobody_polls_does_not_hold_up_the_others() {
    let (clock, dial, throttle) = setup(85);
    let mut forgotten = pin!(throttle.admit());
    assert!(poll(forgotten.as_mut()).is_pending());
    let mut second = pin!(throttle.admit());
    assert!(poll(second.as_mut()).is_pending());
    dial.set(0);
    let mut waited = 0;
    while poll(second.as_mut()).is_pending() {
        clock.set(clock.next_deadline().expect("somebody sleeps"));
        waited += 1;
        assert!(clock.now() <= 10 * INTERVAL, "after {waited} wakes");
    }
}

#[test]
fn each_change_is_reported_once_however_many_items_it_holds() {
    let clock = ManualClock::new();
    let dial = Dial::at(0);
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let throttle = builder(&clock, &dial)
        .on_change(move |event: &ThrottleEvent| listener.lock().unwrap().push(*event))
        .build()
        .unwrap();
    for percent in [85, 90, 75, 85, 70, 60, 80] {
        clock.advance(INTERVAL);
        dial.set(percent);
        for _ in 0..20 {
            let _ = throttle.try_admit();
        }
    }
    let events = throttle.events_since(0);
    assert_eq!(*told.lock().unwrap(), events);
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event.sequence, event.change, event.reading.unwrap().percent))
        .collect();
    let expected = [
        (1, ThrottleChange::Throttled, 85.0),
        (2, ThrottleChange::Released, 70.0),
        (3, ThrottleChange::Throttled, 80.0),
    ];
    assert_eq!(seen, expected);
    assert_eq!((events[0].source, events[0].at), ("dial", INTERVAL));
    assert_eq!(throttle.events_since(2), events[2..]);
    let stats = throttle.stats();
    assert_eq!((stats.throttles, stats.releases), (2, 1));
    assert_eq!(stats.throttled_total, 4 * INTERVAL);
}

#[test]
fn the_log_of_events_is_bounded() {
    let (clock, dial, throttle) = setup(0);
    for n in 0..1_000 {
        dial.set(if n % 2 == 0 { 100 } else { 0 });
        clock.advance(INTERVAL);
        let _ = throttle.is_throttled();
    }
    let events = throttle.events_since(0);
    assert_eq!((events.len(), events[0].sequence), (64, 937));
}

#[test]
fn a_listener_that_panics_or_asks_the_throttle_harms_nothing() {
    let clock = ManualClock::new();
    let dial = Dial::at(0);
    let shared: Arc<Mutex<Option<Throttle>>> = Arc::default();
    let inner = Arc::clone(&shared);
    let throttle = builder(&clock, &dial)
        .on_change(move |event| {
            let throttle = inner.lock().unwrap().clone().expect("it was put there");
            assert_eq!(throttle.events_since(event.sequence - 1).len(), 1);
            assert_eq!(throttle.is_throttled(), throttle.stats().throttled);
            panic!("on purpose");
        })
        .build()
        .unwrap();
    *shared.lock().unwrap() = Some(throttle.clone());
    for percent in [90, 0, 90] {
        dial.set(percent);
        clock.advance(INTERVAL);
        assert_eq!(throttle.is_throttled(), percent == 90);
    }
    assert!(!shared.is_poisoned());
    shared.lock().unwrap().take(); // breaks the circle
}

#[test]
fn one_high_source_of_several_is_enough_and_is_named() {
    let clock = ManualClock::new();
    let (memory, load) = (Dial::at(50), Dial::at(50));
    let source = load.clone();
    let throttle = builder(&clock, &memory)
        .source_with(
            move || Reading::from_percent(source.read()?.percent),
            60,
            30,
        )
        .build()
        .unwrap();
    assert!(!throttle.is_throttled());
    assert_eq!(
        throttle.stats().source,
        "custom",
        "50 of 60 is nearer than 50 of 80"
    );
    load.set(61);
    clock.advance(INTERVAL);
    let refused = throttle.try_admit().unwrap_err();
    assert_eq!(
        (refused.source_name, refused.used, refused.limit),
        ("custom", 61, 100)
    );
    memory.set(100);
    load.set(30);
    clock.advance(INTERVAL);
    assert_eq!(throttle.try_admit().unwrap_err().source_name, "dial");
    memory.set(0);
    clock.advance(INTERVAL);
    assert!(throttle.try_admit().is_ok());
}

#[test]
fn anything_of_nothing_is_full() {
    assert_eq!(Reading::new(0, 0).percent, 100.0);
    assert_eq!(Reading::new(3, 2).percent, 150.0);
    let all = Reading::new(u64::MAX, u64::MAX);
    assert!((all.percent - 100.0).abs() < 1e-9);
    assert_eq!(Reading::from_percent(f64::INFINITY).unwrap().used, u64::MAX);
}

#[test]
fn a_waiter_outlives_the_handle_it_came_from() {
    let (clock, dial, throttle) = setup(85);
    let mut admit = Box::pin(throttle.admit());
    drop(throttle);
    assert!(poll(admit.as_mut()).is_pending());
    dial.set(0);
    clock.advance(INTERVAL);
    assert!(
        thread::spawn(move || poll(admit.as_mut()).is_ready())
            .join()
            .unwrap()
    );
}

#[test]
fn threads_wait_beside_tasks_and_are_let_in_together() {
    within_a_minute(|| {
        let (clock, dial, throttle) = setup(85);
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| throttle.admit_blocking()))
                .collect();
            while throttle.stats().waiting < 4 {
                thread::yield_now();
            }
            dial.set(0);
            clock.advance(INTERVAL);
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), Ok(()));
            }
        });
    });
}

#[test]
fn real_time_serves_as_well() {
    within_a_minute(|| {
        let dial = Dial::at(100);
        let throttle = Throttle::builder()
            .source(dial.clone())
            .sample_interval(Duration::from_millis(10))
            .max_wait(Duration::from_millis(50))
            .build()
            .unwrap();
        let refused: Throttled = throttle.admit_blocking().unwrap_err();
        assert!(refused.waited >= Duration::from_millis(50));
        thread::scope(|scope| {
            let patient = Throttle::builder()
                .source(dial.clone())
                .sample_interval(Duration::from_millis(10))
                .build()
                .unwrap();
            let waiter = scope.spawn(move || patient.admit_blocking());
            dial.set(0);
            assert_eq!(waiter.join().unwrap(), Ok(()));
        });
    });
}

#[cfg(feature = "serde")]
#[test]
fn stats_and_events_are_data() {
    let (_clock, _dial, throttle) = setup(85);
    let stats = serde_json::to_value(throttle.stats()).unwrap();
    assert_eq!(
        (&stats["used"], &stats["throttled"]),
        (&850.into(), &true.into())
    );
    let events = serde_json::to_value(throttle.events_since(0)).unwrap();
    assert_eq!(events[0]["change"], "throttled");
    let text = serde_json::to_string(&Reading::new(1, 2)).unwrap();
    assert_eq!(
        serde_json::from_str::<Reading>(&text).unwrap(),
        Reading::new(1, 2)
    );
    let unknown = r#"{"used": 1, "limit": 2, "percent": 50.0, "more": 1}"#;
    assert!(serde_json::from_str::<Reading>(unknown).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// The oracle knows two levels and a list of readings.
    #[test]
    fn the_state_follows_the_levels(
        threshold in 0_u8..=100,
        resume in 0_u8..=100,
        readings in prop::collection::vec(prop::option::of(0_u64..130), 1..40),
    ) {
        let resume = resume.min(threshold);
        let clock = ManualClock::new();
        let dial = Dial::at(0);
        let throttle = builder(&clock, &dial)
            .threshold_percent(threshold)
            .resume_percent(resume)
            .build()
            .unwrap();
        let mut high = threshold == 0;
        let mut changes = u64::from(high);
        for reading in readings {
            dial.silence(reading.is_none());
            dial.set(reading.unwrap_or(0));
            clock.advance(INTERVAL);
            let was_high = high;
            high = match reading {
                _ if threshold == 0 => true,
                None => false,
                Some(percent) if percent >= threshold.into() => true,
                Some(percent) if percent <= resume.into() => false,
                Some(_) => was_high,
            };
            changes += u64::from(high != was_high);
            prop_assert_eq!(throttle.is_throttled(), high);
            let stats = throttle.stats();
            prop_assert_eq!(stats.throttles + stats.releases, changes);
        }
    }
}
