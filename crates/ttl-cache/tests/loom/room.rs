//! Insertions that take room, evict and give back: never more entries than there is room for, and
//! nothing of the room is lost.

use loom::sync::atomic::Ordering::SeqCst;
use loom::sync::atomic::{AtomicU64, AtomicUsize};
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::bounded;
use crate::budget::{Budget, Hand, Room};

/// A cache of two shards that hold weights.
struct Scene {
    budget: Budget,
    shards: [Mutex<Vec<u64>>; 2],
    entries: AtomicUsize,
    weight: AtomicU64,
    most: Room,
}

impl Scene {
    fn new(most: Room) -> Arc<Self> {
        Arc::new(Self {
            budget: Budget::new(most),
            shards: [Mutex::new(Vec::new()), Mutex::new(Vec::new())],
            entries: AtomicUsize::new(0),
            weight: AtomicU64::new(0),
            most,
        })
    }

    fn check(&self, entries: usize, weight: u64) {
        assert!(entries as u64 <= self.most.entries && weight <= self.most.weight);
    }

    /// Takes room, from the budget first and then from the own shard. Gives up if that is not
    /// enough; what it had gathered goes back.
    fn insert(&self, shard: usize, weight: u64) -> bool {
        let needed = Room::one(weight);
        let mut hand = Hand::empty(&self.budget);
        let mut held = self.shards[shard].lock().expect("nobody panics");
        hand.take(needed);
        while !hand.room.covers(needed) {
            let Some(victim) = held.pop() else {
                return false;
            };
            self.entries.fetch_sub(1, SeqCst);
            self.weight.fetch_sub(victim, SeqCst);
            hand.room = hand.room.plus(Room::one(victim));
        }
        hand.room = hand.room.less(needed);
        held.push(weight);
        let entries = self.entries.fetch_add(1, SeqCst) + 1;
        let total = self.weight.fetch_add(weight, SeqCst) + weight;
        self.check(entries, total);
        true
    }

    fn remove(&self, shard: usize) {
        let mut hand = Hand::empty(&self.budget);
        let mut held = self.shards[shard].lock().expect("nobody panics");
        if let Some(weight) = held.pop() {
            self.entries.fetch_sub(1, SeqCst);
            self.weight.fetch_sub(weight, SeqCst);
            hand.room = Room::one(weight);
        }
    }

    /// All that is free can be taken, and is what the entries do not use.
    fn close(&self) {
        let free = self.budget.take(self.most);
        let used = Room {
            entries: self.entries.load(SeqCst) as u64,
            weight: self.weight.load(SeqCst),
        };
        assert_eq!(free.plus(used), self.most, "room was lost or made up");
    }
}

#[test]
fn two_insertions_share_the_last_room() {
    bounded(3, || {
        let scene = Scene::new(Room {
            entries: 2,
            weight: 3,
        });
        scene.insert(0, 1);
        let other = {
            let scene = Arc::clone(&scene);
            thread::spawn(move || scene.insert(1, 2))
        };
        scene.insert(0, 2);
        other.join().expect("nobody panics");
        scene.close();
    });
}

#[test]
fn room_that_a_removal_gives_back_is_found_once() {
    bounded(3, || {
        let scene = Scene::new(Room {
            entries: 1,
            weight: 2,
        });
        scene.insert(0, 2);
        let others: Vec<_> = (0..2)
            .map(|thread| {
                let scene = Arc::clone(&scene);
                thread::spawn(move || match thread {
                    0 => scene.remove(0),
                    _ => drop(scene.insert(1, 1)),
                })
            })
            .collect();
        scene.insert(0, 1);
        for other in others {
            other.join().expect("nobody panics");
        }
        scene.close();
    });
}
