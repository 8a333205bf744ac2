//! [`Task`]: what the models of wake-ups have for a task.

use std::sync::Arc;
use std::task::Wake;

use crate::primitive::{Condvar, Mutex, lock, wait};

/// A task that sleeps until it is woken.
#[derive(Default)]
pub(crate) struct Task {
    notified: Mutex<bool>,
    condition: Condvar,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        *lock(&self.notified) = true;
        self.condition.notify_one();
    }
}

impl Task {
    pub(crate) fn sleep(&self) {
        let mut notified = lock(&self.notified);
        while !*notified {
            notified = wait(&self.condition, notified);
        }
        *notified = false;
    }
}
