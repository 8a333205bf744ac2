//! One breaker for each name, and templates.

use brolly_circuit_breaker::{CircuitBreaker, RegistryError, State};

use crate::support::{fail, succeed};

#[test]
fn a_name_always_means_the_same_breaker() {
    let breakers = CircuitBreaker::builder()
        .consecutive_failures(1)
        .registry(10)
        .unwrap();
    let first = breakers.get("a").unwrap();
    assert!(first.is_same_as(&breakers.get("a").unwrap()));
    assert!(!first.is_same_as(&breakers.get("b").unwrap()));
    assert_eq!(*first.name(), "a");
    fail(&first).unwrap();
    assert_eq!(breakers.find("a").unwrap().state(), State::Open);
    assert!(breakers.find("c").is_none());
    assert_eq!(breakers.names(), ["a", "b"]);
    let snapshots = breakers.snapshots();
    let states: Vec<_> = snapshots
        .iter()
        .map(|it| (it.name.as_str(), it.state))
        .collect();
    assert_eq!(states, [("a", State::Open), ("b", State::Closed)]);
    assert_eq!(breakers.events_since(0).len(), 1);
}

#[test]
fn there_are_never_more_breakers_than_the_limit() {
    let breakers = CircuitBreaker::builder().registry(2).unwrap();
    let kept = [breakers.get("a").unwrap(), breakers.get("b").unwrap()];
    assert_eq!(
        breakers.get("c").unwrap_err(),
        RegistryError::Full { max_breakers: 2 }
    );
    assert!(breakers.get("b").is_ok(), "what is there can be had");
    assert!(breakers.remove("a").unwrap().is_same_as(&kept[0]));
    assert!(breakers.remove("a").is_none());
    assert!(!breakers.get("a").unwrap().is_same_as(&kept[0]));
    assert_eq!(breakers.len(), 2);
}

#[test]
fn a_name_that_cannot_be_is_refused() {
    let breakers = CircuitBreaker::builder().registry(2).unwrap();
    for name in ["", "a\tb", &"x".repeat(257)] {
        assert!(matches!(
            breakers.get(name).unwrap_err(),
            RegistryError::Name(_)
        ));
    }
    assert!(breakers.is_empty());
}

#[test]
fn many_threads_that_ask_for_one_name_get_one_breaker() {
    let breakers = CircuitBreaker::builder().registry(100).unwrap();
    let handles: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..100)
                        .map(|n| breakers.get(&format!("{n}")).unwrap())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for other in &handles[1..] {
        assert!(handles[0].iter().zip(other).all(|(a, b)| a.is_same_as(b)));
    }
}

#[test]
fn breakers_of_one_template_learn_each_for_itself() {
    for builder in [
        CircuitBreaker::builder().consecutive_failures(1),
        CircuitBreaker::builder().count_window(64).failures(1),
        CircuitBreaker::builder().count_window(65).failures(1),
        CircuitBreaker::builder()
            .time_window(crate::support::SECOND)
            .failures(1),
    ] {
        let template = builder.template().unwrap();
        let (a, b) = (template.create(), template.create_named("b").unwrap());
        fail(&a).unwrap();
        assert_eq!((a.state(), b.state()), (State::Open, State::Closed));
        succeed(&b).unwrap();
        assert_eq!(template.events_since(0).len(), 1);
    }
}
