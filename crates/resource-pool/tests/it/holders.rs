//! Who holds what: leaks, leases, late returns.

use std::sync::{Arc, Mutex};

use brolly_resource_pool::{CloseReason, Event, Guard};

use crate::support::{Bench, Fixed, bench, is_timeout, lone, now, ready, secs};

fn watched(settings: impl FnOnce(Fixed) -> Fixed) -> (Bench, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let bench = bench(|it| {
        settings(it.health_interval(None).on_event(move |event| {
            let text = match event {
                Event::Leaked(holder) => format!("leaked {}", holder.id),
                Event::ReturnedLate { held_for, .. } => format!("late {held_for:?}"),
                Event::Reclaimed(holder) => format!("reclaimed {}", holder.id),
                _ => return,
            };
            listener.lock().unwrap().push(text);
        }))
    });
    (bench, told)
}

#[test]
fn holders_are_named_by_the_line_that_acquired() {
    let bench = lone(|it| it.name("db").max_size(4));
    let line = line!() + 1;
    let first = bench.pool.try_acquire().unwrap();
    bench.clock.advance(secs(1));
    let second = now(bench.pool.acquire()).unwrap();
    let third = bench.pool.acquire_blocking().unwrap();
    let holders = bench.pool.holders();
    let sites: Vec<_> = holders.iter().map(|it| it.site.line).collect();
    assert_eq!(sites, [line, line + 2, line + 3]);
    assert!(holders.iter().all(|it| it.site.file == file!()));
    assert_eq!(holders[0].id, "db_0");
    assert_eq!(holders[0].held_for, secs(1));
    assert_eq!(Guard::held_for(&first), secs(1));
    drop((first, second, third));
    assert!(bench.pool.holders().is_empty());
}

#[test]
fn one_that_waited_is_named_by_its_own_line() {
    let bench = bench(|it| it.max_size(1));
    let held = bench.take();
    let line = line!() + 1;
    let mut waiting = std::pin::pin!(bench.pool.acquire());
    assert!(crate::support::is_pending(waiting.as_mut()));
    drop(held);
    // It is the holder from the moment it was granted, whether it looks or not.
    assert_eq!(bench.pool.holders()[0].site.line, line);
    drop(ready(waiting).unwrap());
}

#[test]
fn holders_of_one_line_are_counted_together() {
    let bench = lone(|it| it.max_size(4));
    let _three: Vec<_> = (0..3).map(|_| bench.pool.try_acquire().unwrap()).collect();
    bench.clock.advance(secs(1));
    let _one = bench.pool.try_acquire().unwrap();
    let groups = bench.pool.holders_by_site();
    let counts: Vec<_> = groups.iter().map(|it| (it.count, it.longest)).collect();
    assert_eq!(counts, [(3, secs(1)), (1, secs(0))]);
}

#[test]
fn leaks_are_those_held_for_longer_and_not_as_long() {
    let bench = lone(|it| it.max_size(2));
    let _held = bench.take();
    assert_eq!(bench.pool.leaks(secs(0)).len(), 1, "all that are held");
    bench.clock.advance(secs(3600));
    assert!(bench.pool.leaks(secs(3600)).is_empty());
    bench.clock.advance(std::time::Duration::from_nanos(1));
    assert_eq!(bench.pool.leaks(secs(3600)).len(), 1);
    assert_eq!(bench.pool.leaks(secs(0)).len(), 1);
}

#[test]
fn the_age_of_a_leak_counts_from_borrowing() {
    let bench = lone(|it| it.max_size(1).max_lifetime(None));
    drop(bench.take());
    bench.clock.advance(secs(10_000));
    let _held = bench.take();
    bench.clock.advance(secs(5));
    assert_eq!(bench.pool.leaks(secs(0))[0].held_for, secs(5));
}

#[test]
fn a_leak_is_reported_once_and_its_return_too() {
    let (bench, told) = watched(|it| it.max_size(1).leak_after(secs(60)));
    let held = bench.take();
    bench.pass(secs(60));
    assert!(told.lock().unwrap().is_empty());
    bench.pass(secs(1));
    assert_eq!(*told.lock().unwrap(), ["leaked pool_0"]);
    bench.pass(secs(1000));
    assert_eq!(told.lock().unwrap().len(), 1);
    drop(held);
    assert_eq!(told.lock().unwrap()[1], "late 1061s");
    // The next checkout is a new one.
    let held = bench.take();
    bench.pass(secs(61));
    assert_eq!(told.lock().unwrap()[2], "leaked pool_0");
    drop(held);
    let stats = bench.pool.stats();
    assert_eq!((stats.leaks, stats.late_returns), (2, 2));
}

#[test]
fn a_lease_that_is_over_gives_the_place_to_another() {
    let (bench, told) = watched(|it| {
        let it = it.max_size(1).lease_timeout(secs(10));
        it.leak_after(None)
    });
    let late = bench.take();
    bench.pass(secs(11));
    assert_eq!(*told.lock().unwrap(), ["reclaimed pool_0"]);
    let stats = bench.assert_conserved();
    assert_eq!((stats.size, stats.abandoned), (0, 1));
    let other = bench.take();
    assert_ne!(other.id, late.id);
    // What comes back too late is closed, and its place can be used again.
    drop(late);
    bench.tasks.run();
    assert_eq!(bench.plant.closed_for(CloseReason::Late), 1);
    let stats = bench.assert_conserved();
    assert_eq!((stats.size, stats.abandoned, stats.in_use), (1, 0, 1));
    drop(other);
    assert_eq!(bench.assert_conserved().idle, 1);
}

#[test]
fn a_guard_that_is_forgotten_does_not_block_a_pool_with_leases_for_ever() {
    let (bench, _) = watched(|it| it.max_size(1).lease_timeout(secs(10)));
    std::mem::forget(bench.take());
    bench.pass(secs(11));
    drop(bench.take());
}

#[test]
fn a_late_resource_can_still_be_detached_or_discarded() {
    let (bench, _) = watched(|it| it.max_size(2).lease_timeout(secs(10)));
    let (first, second) = (bench.take(), bench.take());
    bench.pass(secs(11));
    let thing = Guard::detach(first);
    assert_eq!(thing.id, 0);
    Guard::discard(second);
    bench.tasks.run();
    let stats = bench.assert_conserved();
    assert_eq!((stats.size, stats.abandoned), (0, 0));
    let _both = (bench.take(), bench.take());
}

#[test]
fn without_leases_a_forgotten_guard_is_named_in_the_error() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(secs(1)));
    let line = line!() + 1;
    std::mem::forget(bench.take());
    let mut acquire = std::pin::pin!(bench.pool.acquire());
    assert!(crate::support::is_pending(acquire.as_mut()));
    bench.clock.advance(secs(1));
    let result = ready(acquire);
    assert!(is_timeout(&result));
    let _ = line;
    assert_eq!(result.unwrap_err().timeout().unwrap().holders.len(), 1);
}

#[test]
fn a_holder_says_what_it_is_doing_and_what_it_holds() {
    let bench = lone(|it| it.name("db").max_size(40).shards(3));
    let held: Vec<_> = (0..40).map(|_| bench.take()).collect();
    bench.clock.advance(secs(5));
    for (number, guard) in held.iter().enumerate() {
        if number % 2 == 0 {
            Guard::set_label(guard, format!("request {}", guard.id));
        }
    }
    let holders = bench.pool.holders();
    assert_eq!(holders.iter().filter(|it| it.label.is_some()).count(), 20);
    let first = holders
        .iter()
        .find(|it| it.label.as_deref() == Some("request 0"))
        .unwrap();
    assert!(first.resource.ends_with("::Thing"), "{}", first.resource);
    assert_eq!(first.borrowed_at, first.created_at);
    assert_eq!(
        first.borrowed_at + secs(5),
        brolly_sync::Clock::now(&bench.clock)
    );
    assert!(first.to_string().ends_with("(request 0)"), "{first}");
    assert_eq!(bench.pool.leaks(secs(1)).len(), 40);
}

#[test]
fn a_label_ends_with_its_checkout() {
    let bench = lone(|it| it.max_size(1));
    let held = bench.take();
    Guard::set_label(&held, "first");
    Guard::set_label(&held, "second");
    let label = || bench.pool.holders()[0].label.clone();
    assert_eq!(label().unwrap(), "second");
    drop(held);
    // At the same time, by the same clock, at the same place.
    let held = bench.take();
    assert_eq!(label(), None);
    // One that waited, was granted it and left does not revive it.
    {
        let mut waiting = std::pin::pin!(bench.pool.acquire());
        assert!(crate::support::is_pending(waiting.as_mut()));
        drop(held);
    }
    let held = bench.pool.try_acquire_owned().unwrap();
    assert_eq!(label(), None);
    let long = "ä".repeat(1000);
    brolly_resource_pool::OwnedGuard::set_label(&held, &long);
    assert_eq!(label().unwrap(), long[..256]);
}

#[test]
fn a_leak_is_reported_with_its_label() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let bench = bench(|it| {
        it.max_size(1).leak_after(secs(60)).on_event(move |event| {
            if let Event::Leaked(holder) = event {
                listener.lock().unwrap().push(holder.label.clone());
            }
        })
    });
    let held = bench.take();
    Guard::set_label(&held, "the nightly job");
    bench.pass(secs(100));
    assert_eq!(
        *told.lock().unwrap(),
        [Some(String::from("the nightly job"))]
    );
    drop(held);
}
