//! One pool asked whether it is well, and many at once.

use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;

use brolly_resource_pool::{CloseReason, Event, HealthError, Pools, RegisterError};

use crate::support::{Bench, Factory, Mode, bench, is_pending, lone, look, now, ready, secs};

/// The result of a check in which time passes.
fn check(bench: &Bench) -> Result<(), HealthError> {
    let mut check = pin!(bench.pool.check(secs(2)));
    for _ in 0..4 {
        if let Poll::Ready(result) = look(check.as_mut()) {
            return result;
        }
        bench.pass(secs(1));
    }
    panic!("the check does not end");
}

#[test]
fn a_pool_that_is_well_says_so_and_keeps_what_it_has() {
    let bench = bench(|it| it.max_size(2));
    check(&bench).unwrap();
    check(&bench).unwrap();
    let stats = bench.assert_conserved();
    assert_eq!((stats.created, stats.idle, stats.in_use), (1, 1, 0));
    // The rule for checkouts does not matter: it is checked each time.
    assert_eq!(bench.plant.checks.load(SeqCst), 2);
}

#[test]
fn what_is_wrong_is_told_and_the_resource_closed() {
    let bench = bench(|it| it.max_size(1).check_timeout(secs(1)));
    for mode in [Mode::Fail, Mode::Panic, Mode::Hang] {
        drop(bench.take());
        bench.plant.closed.lock().unwrap().clear();
        bench.plant.set_check(mode);
        let error = check(&bench).unwrap_err();
        match (mode, &error) {
            (Mode::Fail, HealthError::Failed(cause)) => {
                assert_eq!(cause.to_string(), "the backend is down");
            }
            (Mode::Panic, HealthError::Panicked { message }) => {
                assert_eq!(&**message, "check panics");
            }
            (Mode::Hang, HealthError::Timeout { after }) => assert_eq!(*after, secs(1)),
            other => panic!("{other:?}"),
        }
        bench.tasks.run();
        assert_eq!(
            bench.plant.closed_for(CloseReason::Unhealthy),
            1,
            "{mode:?}"
        );
        bench.plant.set_check(Mode::Ready);
    }
    bench.plant.set_create(Mode::Fail);
    assert!(matches!(check(&bench), Err(HealthError::Acquire(_))));
    bench.plant.set_create(Mode::Ready);
    bench.pass(secs(10));
    let held = bench.take();
    assert!(matches!(
        check(&bench),
        Err(HealthError::Timeout { after }) if after == secs(2)
    ));
    drop(held);
    bench.pool.close();
    assert!(matches!(check(&bench), Err(HealthError::Closed)));
    bench.tasks.run();
    assert_eq!(bench.assert_conserved().size, 0);
}

#[test]
fn checks_that_were_asked_for_count_as_the_others_do() {
    let bench = bench(|it| it.max_size(1));
    for _ in 0..3 {
        assert!(!bench.pool.stats().is_degraded);
        drop(bench.take());
        bench.plant.set_check(Mode::Fail);
        assert!(check(&bench).is_err());
        bench.plant.set_check(Mode::Ready);
        bench.tasks.run();
    }
    let stats = bench.pool.stats();
    assert!(stats.is_degraded && stats.check_failures == 3, "{stats:?}");
    check(&bench).unwrap();
    assert!(!bench.pool.stats().is_degraded);
}

#[test]
fn a_check_that_is_left_at_any_look_keeps_the_pool_whole() {
    for has_spawner in [true, false] {
        for looks in 0..6 {
            let settings = |it: crate::support::Fixed| it.max_size(1);
            let bench = if has_spawner {
                bench(settings)
            } else {
                lone(settings)
            };
            bench.plant.set_create(Mode::Gated);
            bench.plant.set_check(Mode::Gated);
            {
                let mut check = Box::pin(bench.pool.check(secs(60)));
                for _ in 0..looks {
                    if look(check.as_mut()).is_ready() {
                        break;
                    }
                    bench.plant.open(1);
                    bench.tasks.run();
                }
            }
            bench.plant.set_create(Mode::Ready);
            bench.plant.set_check(Mode::Ready);
            bench.plant.open(10);
            bench.pass(secs(10));
            let stats = bench.assert_conserved();
            assert_eq!((stats.in_use, stats.waiting), (0, 0), "{looks}: {stats:?}");
            drop(bench.take());
        }
    }
}

fn three() -> (Pools, [Bench; 3]) {
    let pools = Pools::new();
    let benches = ["a", "b", "c"].map(|name| {
        let bench = bench(|it| it.name(name).max_size(2).check_timeout(secs(1)));
        pools.register(name, &bench.pool).unwrap();
        bench
    });
    (pools, benches)
}

#[test]
fn a_name_is_taken_once() {
    let (pools, [a, b, _]) = three();
    assert_eq!(
        pools.register("a", &b.pool).unwrap_err(),
        RegisterError::Duplicate { name: "a".into() }
    );
    assert_eq!(pools.names(), ["a", "b", "c"]);
    assert_eq!(pools.get("a").unwrap().name(), "a");
    assert!(pools.get("d").is_none() && pools.get_as::<Factory>("d").is_none());
    drop(a.take());
    assert_eq!(pools.get_as::<Factory>("a").unwrap().stats().created, 1);
    assert_eq!(pools.stats()["a"].created, 1);
    assert_eq!(
        pools.get("a").unwrap().demand_since(&b.pool.stats()).served,
        1
    );
    assert!(pools.remove("b").is_some() && pools.remove("b").is_none());
    pools.register("b", &b.pool).unwrap();
    assert!(format!("{pools:?}").contains("\"c\""));
}

/// Of another kind than the rest.
struct Words;

impl brolly_resource_pool::Manager for Words {
    type Resource = String;
    type Error = std::convert::Infallible;

    async fn create(&self) -> Result<String, std::convert::Infallible> {
        Ok(String::new())
    }
}

#[test]
fn pools_of_all_kinds_live_together() {
    let (pools, _benches) = three();
    let words = brolly_resource_pool::Pool::builder(Words).build().unwrap();
    pools.register("words", &words).unwrap();
    assert!(pools.get_as::<Factory>("words").is_none());
    assert!(pools.get_as::<Words>("words").is_some());
    let held = words.acquire_blocking().unwrap();
    let holders = pools.get("words").unwrap().holders();
    assert_eq!(holders[0].resource, std::any::type_name::<String>());
    drop(held);
}

#[test]
fn a_registry_takes_so_many_and_no_more() {
    let pools = Pools::new();
    let bench = lone(|it| it.max_size(1));
    for number in 0..4096 {
        pools.register(number.to_string(), &bench.pool).unwrap();
    }
    assert_eq!(
        pools.register("more", &bench.pool).unwrap_err(),
        RegisterError::Full { max: 4096 }
    );
}

#[test]
fn all_are_checked_at_once_and_each_for_so_long() {
    let (pools, [a, b, c]) = three();
    b.plant.set_check(Mode::Fail);
    c.plant.set_create(Mode::Hang);
    let mut checks = pin!(pools.check_all(secs(3)));
    assert!(is_pending(checks.as_mut()));
    for bench in [&a, &b, &c] {
        bench.tasks.run();
    }
    assert!(is_pending(checks.as_mut()));
    // The third alone is waited for, and only so long.
    c.pass(secs(3));
    let answers = ready(checks);
    assert_eq!(Vec::from_iter(answers.keys()), ["a", "b", "c"]);
    assert!(answers["a"].is_ok());
    assert!(matches!(answers["b"], Err(HealthError::Failed(_))));
    assert!(matches!(answers["c"], Err(HealthError::Timeout { .. })));
}

#[test]
fn all_are_closed_whatever_one_of_them_does() {
    let (pools, [a, b, c]) = three();
    for bench in [&a, &b, &c] {
        drop(bench.take());
    }
    let held = a.take();
    b.plant.set_close(Mode::Panic);
    c.plant.set_close(Mode::Hang);
    let mut closing = pin!(pools.close_all(secs(2)));
    assert!(is_pending(closing.as_mut()));
    for bench in [&a, &b, &c] {
        assert!(bench.pool.is_closed());
        bench.pass(secs(2));
    }
    let reports = ready(closing);
    assert_eq!(reports["a"].left.len(), 1);
    assert!(reports["b"].is_complete());
    assert_eq!(reports["c"].unfinished, 1);
    drop(held);
    for bench in [&a, &b, &c] {
        bench.pass(secs(10));
    }
    // A second time there is nothing left to wait for.
    let reports = now(pools.close_all(secs(1)));
    assert!(
        reports
            .values()
            .all(brolly_resource_pool::DrainReport::is_complete)
    );
}

/// A panic of a listener, told while all are checked, ends there.
#[test]
fn a_listener_that_panics_stops_no_check() {
    let pools = Pools::new();
    let bench = lone(|it| {
        it.max_size(1).on_event(|event| {
            assert!(!matches!(event, Event::Created), "rude");
        })
    });
    pools.register("rude", &bench.pool).unwrap();
    assert!(now(pools.check_all(secs(1)))["rude"].is_ok());
}

#[test]
fn leaving_a_check_of_all_leaves_all() {
    let (pools, [a, b, c]) = three();
    for bench in [&a, &b, &c] {
        drop(bench.take());
        bench.plant.set_check(Mode::Gated);
    }
    {
        let mut checks = pin!(pools.check_all(secs(3)));
        assert!(is_pending(checks.as_mut()));
    }
    for bench in [&a, &b, &c] {
        bench.tasks.run();
        let stats = bench.assert_conserved();
        assert_eq!((stats.size, stats.waiting), (0, 0));
    }
}
