//! Operations are measured by handle: what they took and what memory they left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brolly_metrics_core::Profiler;
use brolly_sync::ManualClock;

const SECOND: Duration = Duration::from_secs(1);

fn profiler() -> (Profiler, ManualClock, Arc<AtomicU64>) {
    let clock = ManualClock::new();
    let memory = Arc::new(AtomicU64::new(1_000));
    let measured = Arc::clone(&memory);
    let profiler = Profiler::with(clock.clone(), move || {
        Some(measured.load(Ordering::Relaxed))
    });
    (profiler, clock, memory)
}

#[test]
fn the_end_tells_time_and_gain() {
    let (profiler, clock, memory) = profiler();
    let import = profiler.start("import");
    clock.advance(SECOND);
    memory.store(1_500, Ordering::Relaxed);
    let profile = import.end();
    assert_eq!(&*profile.name, "import");
    assert_eq!(profile.duration, SECOND);
    assert_eq!(profile.memory_delta, Some(500));
}

#[test]
fn memory_that_was_given_back_is_a_negative_gain() {
    let (profiler, _, memory) = profiler();
    let cleanup = profiler.start("cleanup");
    memory.store(400, Ordering::Relaxed);
    assert_eq!(cleanup.end().memory_delta, Some(-600));
    let absurd = profiler.start("absurd");
    memory.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(absurd.end().memory_delta, Some(i64::MAX));
}

#[test]
fn the_same_name_twice_is_two_operations() {
    let (profiler, clock, _) = profiler();
    let first = profiler.start("load");
    clock.advance(SECOND);
    let second = profiler.start("load");
    clock.advance(SECOND);
    let running = profiler.running();
    let elapsed: Vec<_> = running.iter().map(|it| it.elapsed).collect();
    assert_eq!(elapsed, [2 * SECOND, SECOND]);
    assert_eq!(second.end().duration, SECOND);
    clock.advance(SECOND);
    assert_eq!(first.end().duration, 3 * SECOND);
    assert_eq!(profiler.running(), []);
}

#[test]
fn a_dropped_handle_is_forgotten() {
    let (profiler, _, _) = profiler();
    let abandoned = profiler.start("abandoned");
    assert_eq!(abandoned.name(), "abandoned");
    drop(abandoned);
    assert_eq!(profiler.running(), []);
}

#[test]
fn without_a_measure_of_memory_there_is_no_gain() {
    let profiler = Profiler::with(ManualClock::new(), || None);
    assert_eq!(profiler.start("blind").end().memory_delta, None);
}

#[test]
fn a_handle_may_end_on_another_thread_and_after_its_profiler() {
    let (profiler, clock, _) = profiler();
    let sent = profiler.start("sent");
    drop(profiler);
    clock.advance(SECOND);
    let ended = std::thread::spawn(move || sent.end());
    let profile = ended.join().expect("it does not panic");
    assert_eq!(profile.duration, SECOND);
}

#[cfg(target_os = "linux")]
#[test]
fn the_resident_memory_of_this_process_is_measured() {
    let profile = Profiler::new().start("real").end();
    assert!(profile.memory_delta.is_some());
}
