//! No job is forgotten, whoever begins to wait for one, leaves, or ends meanwhile.

use std::convert::Infallible;
use std::future::ready;

use brolly_resource_pool::{Workers, WorkersBuilder};
use brolly_sync::{ManualClock, Task};
use loom::thread;

use crate::{bounded, wait_for};

/// Each worker is a thread of the model's.
fn workers(settings: impl FnOnce(WorkersBuilder) -> WorkersBuilder) -> Workers {
    let clock = ManualClock::new();
    let builder = Workers::builder().clock(clock.clone()).timer(clock);
    let builder = builder.spawner(|task: Task| {
        thread::spawn(move || wait_for(task));
    });
    let workers = settings(builder).build().unwrap();
    workers.start();
    workers
}

#[test]
fn a_job_that_comes_while_the_worker_begins_to_wait_is_done() {
    bounded(2, || {
        let workers = workers(|it| it);
        let job = workers.try_submit(ready(Ok::<_, Infallible>(7))).unwrap();
        assert_eq!(wait_for(job), Ok(7));
    });
}

#[test]
fn a_job_for_which_a_worker_was_woken_that_is_sent_away_is_done_by_another() {
    bounded(2, || {
        let workers = workers(|it| it.max_workers(2));
        workers.scale(2).unwrap();
        let job = workers.try_submit(ready(Ok::<_, Infallible>(7))).unwrap();
        workers.scale(1).unwrap();
        assert_eq!(wait_for(job), Ok(7));
    });
}

#[test]
fn jobs_in_line_are_done_after_the_last_user_has_gone() {
    bounded(2, || {
        let workers = workers(|it| it);
        let job = workers.try_submit(ready(Ok::<_, Infallible>(7))).unwrap();
        drop(workers);
        assert_eq!(wait_for(job), Ok(7));
    });
}

#[test]
fn who_waits_for_room_gets_it_when_a_worker_takes_a_job() {
    bounded(2, || {
        let workers = workers(|it| it.queue(1));
        let first = workers.try_submit(ready(Ok::<_, Infallible>(1))).unwrap();
        let second = wait_for(workers.submit(ready(Ok::<_, Infallible>(2)))).unwrap();
        assert_eq!((wait_for(first), wait_for(second)), (Ok(1), Ok(2)));
    });
}
