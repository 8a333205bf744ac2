//! Loads of one key: however callers come, wait and leave, and whatever is written meanwhile, nobody
//! waits for ever, one load runs at a time, and nothing older than a write is stored after it.
//!
//! The list of loads is the real one, and so are the flights. The shard around it is a stand-in: a
//! value and the list under one lock. What [`Scene`] does under that lock and without it is what the
//! cache does in `load/begin.rs`, `load/awaited.rs`, `load/blocking.rs` and `load/landing.rs`.

#[path = "../../src/load/by_hash.rs"]
mod by_hash;
#[path = "../../src/load/error.rs"]
mod error;
#[path = "../../src/load/handed.rs"]
mod handed;
#[path = "../../src/load/listing.rs"]
mod listing;
#[path = "../../src/load/outcome.rs"]
mod outcome;

use std::any::TypeId;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use brolly_sync::{Flight, Join};
use loom::sync::Condvar;
use loom::sync::atomic::Ordering::SeqCst;
use loom::sync::atomic::{AtomicU32, AtomicUsize};
use loom::thread;

use crate::bounded;
use crate::primitive::{Mutex, lock};
use listing::{Asker, Ended, Joins, Listing, Manner, Sought, Start, start};
use outcome::Outcome;

const KEY: u8 = 7;
const HASH: u32 = 77;

/// A shard with one key.
#[derive(Default)]
struct Scene {
    shard: Mutex<Shard>,
    /// What loaders read.
    source: AtomicU32,
    started: AtomicUsize,
    running: AtomicUsize,
    event: Event,
}

#[derive(Default)]
struct Shard {
    value: Option<u32>,
    loads: Listing<u8, u32>,
}

/// Something that loaders wait for.
#[derive(Default)]
struct Event(Mutex<(bool, Option<Waker>)>);

impl Event {
    fn happen(&self) {
        let mut state = lock(&self.0);
        state.0 = true;
        let waker = state.1.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            let mut state = lock(&self.0);
            if state.0 {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A load under way. Takes itself off the list however it ends.
struct Landing {
    scene: Arc<Scene>,
    number: Option<u64>,
}

impl Landing {
    fn land(mut self, value: u32) -> u32 {
        self.scene.running.fetch_sub(1, SeqCst);
        if let Some(number) = self.number.take() {
            let mut shard = lock(&self.scene.shard);
            let unwritten = shard.loads.is_unwritten(HASH, number);
            let ended = shard.loads.end(HASH, number, 0);
            if unwritten {
                shard.value = Some(value);
                shard.loads.wrote(HASH);
            }
            drop(shard);
            ended.tell(|| Outcome::Loaded(value));
        }
        value
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            self.scene.running.fetch_sub(1, SeqCst);
            let ended: Ended<u8, u32> = lock(&self.scene.shard).loads.end(HASH, number, 0);
            ended.tell(|| Outcome::Nothing);
        }
    }
}

/// What a caller finds.
enum Begun {
    Found(u32),
    Joins(Join<Outcome<u32>>),
    Leads(Landing),
}

/// How a caller goes on once its loader was polled.
enum Step {
    Over(u32),
    /// Whether it has to look only when it is woken.
    Waits(Join<Outcome<u32>>, bool),
}

impl Scene {
    /// `thread` is any number but zero that no other caller has.
    fn begin(self: &Arc<Self>, thread: usize) -> Begun {
        let asker = Asker {
            errors: TypeId::of::<()>,
            joins: Joins::Any,
            thread,
        };
        let mut shard = lock(&self.shard);
        let flight = |arrival, _, _| Flight::new(start(arrival));
        let (sought, outdated) = shard.loads.board(HASH, &KEY, asker, flight);
        let begun = match sought {
            Sought::Aboard(join) => Begun::Joins(join),
            _ => match shard.value {
                Some(value) => Begun::Found(value),
                None => {
                    let manner = Manner {
                        open: true,
                        stays: false,
                        counts: false,
                        now: 0,
                    };
                    let number = Some(shard.loads.list(HASH, KEY, asker, manner));
                    let scene = Arc::clone(self);
                    self.started.fetch_add(1, SeqCst);
                    self.running.fetch_add(1, SeqCst);
                    Begun::Leads(Landing { scene, number })
                }
            },
        };
        drop(shard);
        drop(outdated);
        begun
    }

    /// Polls a loader once; if it has to wait, it goes on in a flight.
    fn lead(self: &Arc<Self>, landing: Landing, waker: &Waker) -> Step {
        let scene = Arc::clone(self);
        let mut loader = Box::pin(async move {
            let value = scene.source.load(SeqCst);
            scene.event.wait().await;
            value
        });
        let mut cx = Context::from_waker(waker);
        if let Poll::Ready(value) = loader.as_mut().poll(&mut cx) {
            return Step::Over(landing.land(value));
        }
        let number = landing.number.expect("it has not landed");
        let load = async move { Outcome::Loaded(landing.land(loader.await)) };
        let (mut load, waker) = (Some(load), waker.clone());
        let make = || Flight::polled(load.take().expect("made once"), None, waker);
        let gone = lock(&self.shard).loads.go_on(HASH, number, make);
        drop(gone.outdated);
        match (gone.giver, load) {
            (Some(giver), Some(load)) => {
                giver.give(Start::Goes(Box::pin(load)));
                Step::Waits(gone.join, false)
            }
            _ => Step::Waits(gone.join, true),
        }
    }

    /// A caller that waits until it has a value.
    fn get(self: &Arc<Self>, thread: usize) -> u32 {
        loop {
            let mut join = match self.begin(thread) {
                Begun::Found(value) => return value,
                Begun::Joins(join) => join,
                Begun::Leads(landing) => {
                    let signal = Arc::new(Signal::default());
                    let waker = Waker::from(Arc::clone(&signal));
                    match self.lead(landing, &waker) {
                        Step::Over(value) => return value,
                        Step::Waits(mut join, mut polled) => loop {
                            let mut cx = Context::from_waker(&waker);
                            if !std::mem::replace(&mut polled, false)
                                && let Poll::Ready(outcome) = Pin::new(&mut join).poll(&mut cx)
                            {
                                match outcome {
                                    Ok(Outcome::Loaded(value)) => return value,
                                    _ => panic!("it was loaded"),
                                }
                            }
                            signal.wait();
                        },
                    }
                }
            };
            if let Ok(Outcome::Loaded(value)) = join.wait() {
                return value;
            }
        }
    }

    /// A caller that leaves after its first look.
    fn look_and_leave(self: &Arc<Self>, thread: usize) {
        match self.begin(thread) {
            Begun::Found(_) => {}
            Begun::Joins(mut join) => {
                let _ = Pin::new(&mut join).poll(&mut Context::from_waker(Waker::noop()));
            }
            Begun::Leads(landing) => drop(self.lead(landing, Waker::noop())),
        }
    }

    /// A caller whose loader runs on its stack.
    fn get_here(self: &Arc<Self>, thread: usize) -> u32 {
        loop {
            match self.begin(thread) {
                Begun::Found(value) => return value,
                Begun::Leads(landing) => {
                    let value = self.source.load(SeqCst);
                    return landing.land(value);
                }
                Begun::Joins(mut join) => {
                    if let Ok(Outcome::Loaded(value)) = join.wait() {
                        return value;
                    }
                }
            }
        }
    }

    /// The source changes, and then what is stored of it is dropped.
    fn change(&self, version: u32) {
        self.source.store(version, SeqCst);
        let mut shard = lock(&self.shard);
        shard.value = None;
        shard.loads.wrote(HASH);
    }

    /// Nothing is left on the list.
    fn close(&self) -> Option<u32> {
        let shard = lock(&self.shard);
        assert!(shard.loads.is_empty());
        assert_eq!(self.running.load(SeqCst), 0);
        shard.value
    }
}

/// A flag with a sleeper. Not `thread::park`, whose token loom loses when a thread is unparked while
/// it waits for a lock.
#[derive(Default)]
struct Signal {
    raised: Mutex<bool>,
    condition: Condvar,
}

impl Signal {
    fn wait(&self) {
        let mut raised = lock(&self.raised);
        while !*raised {
            raised = self.condition.wait(raised).expect("nobody panics");
        }
        *raised = false;
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *lock(&self.raised) = true;
        self.condition.notify_one();
    }
}

fn spawn<T: 'static>(
    scene: &Arc<Scene>,
    caller: impl FnOnce(Arc<Scene>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let scene = Arc::clone(scene);
    thread::spawn(move || caller(scene))
}

#[test]
fn two_tasks_share_one_load_and_both_learn_of_its_end() {
    bounded(4, || {
        let scene = Arc::new(Scene::default());
        let other = spawn(&scene, |scene| scene.get(1));
        let happens = spawn(&scene, |scene| scene.event.happen());
        assert_eq!(scene.get(2), 0);
        assert_eq!(other.join().expect("nobody panics"), 0);
        happens.join().expect("nobody panics");
        assert_eq!(scene.close(), Some(0));
        assert_eq!(scene.started.load(SeqCst), 1);
    });
}

#[test]
fn a_task_and_a_thread_share_one_load() {
    bounded(4, || {
        let scene = Arc::new(Scene::default());
        scene.event.happen();
        let other = spawn(&scene, |scene| scene.get_here(1));
        assert_eq!(scene.get(2), 0);
        assert_eq!(other.join().expect("nobody panics"), 0);
        assert_eq!(scene.close(), Some(0));
        assert_eq!(scene.started.load(SeqCst), 1);
    });
}

#[test]
fn who_joins_while_the_first_caller_leaves_goes_on_with_its_load_or_begins_anew() {
    bounded(4, || {
        let scene = Arc::new(Scene::default());
        let leaves = spawn(&scene, |scene| scene.look_and_leave(1));
        let happens = spawn(&scene, |scene| scene.event.happen());
        assert_eq!(scene.get(2), 0);
        leaves.join().expect("nobody panics");
        happens.join().expect("nobody panics");
        assert_eq!(scene.close(), Some(0));
        assert!(scene.started.load(SeqCst) <= 2);
    });
}

#[test]
fn nothing_older_than_a_write_is_stored_after_it() {
    bounded(4, || {
        let scene = Arc::new(Scene::default());
        scene.event.happen();
        let other = spawn(&scene, |scene| scene.get_here(1));
        let writes = spawn(&scene, |scene| {
            scene.change(1);
            // Who asks after the write is not given what was before it.
            assert_eq!(scene.get_here(3), 1);
        });
        let _ = scene.get(2);
        other.join().expect("nobody panics");
        writes.join().expect("nobody panics");
        assert_eq!(scene.close(), Some(1));
    });
}
