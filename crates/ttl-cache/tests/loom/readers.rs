//! Readers that come and go against memory that is freed: the order of `begin`, of the end of a
//! lookup, and of `have_left`, with the fence that readers pay where the system has no barrier.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use loom::sync::atomic::{AtomicU64, AtomicUsize, fence};
use loom::thread;

/// Two pieces of memory, of which one is current; reading freed memory is a race that loom reports.
struct Scene {
    begun: AtomicU64,
    ended: AtomicU64,
    current: AtomicUsize,
    memory: [UnsafeCell<u64>; 2],
}

impl Scene {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            current: AtomicUsize::new(0),
            memory: [UnsafeCell::new(1), UnsafeCell::new(2)],
        })
    }

    fn begin(&self, fenced: bool) {
        self.begun.store(self.begun.load(Relaxed) + 1, Relaxed);
        if fenced {
            fence(SeqCst);
        }
    }

    fn look(&self) {
        let at = self.current.load(Acquire);
        let value = self.memory[at].with(|it| {
            // SAFETY: what this model is about: loom reports it if somebody frees at the same time.
            unsafe { *it }
        });
        assert_ne!(value, 0, "freed memory was read");
    }

    fn end(&self) {
        self.ended.store(self.ended.load(Relaxed) + 1, Release);
    }

    /// A lookup that does not count takes its beginning back.
    fn give_up(&self) {
        self.begun.store(self.begun.load(Relaxed) - 1, Release);
    }

    fn have_left(&self) -> bool {
        fence(SeqCst);
        let begun = self.begun.load(Acquire);
        let ended = self.ended.load(Acquire);
        ended >= begun || ended >= self.begun.load(Acquire)
    }

    fn retire_and_free(&self) {
        self.current.store(1, Release);
        if self.have_left() {
            self.memory[0].with_mut(|it| {
                // SAFETY: no reader is inside, which is what this model is about.
                unsafe { *it = 0 }
            });
        }
    }
}

fn explore(fenced: bool) {
    loom::model(move || {
        let scene = Scene::new();
        let reader = {
            let scene = Arc::clone(&scene);
            thread::spawn(move || {
                scene.begin(fenced);
                scene.look();
                scene.give_up();
                for _ in 0..2 {
                    scene.begin(fenced);
                    scene.look();
                    scene.end();
                }
            })
        };
        scene.retire_and_free();
        reader.join().expect("the reader does not panic");
        assert!(scene.have_left(), "everybody has left");
    });
}

#[test]
fn memory_is_freed_when_no_reader_can_look_at_it() {
    explore(true);
}

/// The model can fail: without the fence, a reader that has begun is overlooked.
#[test]
#[should_panic(expected = "")]
fn without_the_fence_a_reader_is_overlooked() {
    explore(false);
}
