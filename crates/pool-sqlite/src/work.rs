//! Work on a thread for a task that waits: it runs to its end or is stopped, and the connection goes
//! back only then.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brolly_resource_pool::OwnedGuard;
use brolly_sync::WaitList;
use rusqlite::InterruptHandle;

use crate::connection::SqliteConnection;
use crate::error::{SqliteError, WorkError};
use crate::manager::SqliteManager;
use crate::threads::{Threads, contain};

/// Whether the work of one caller may still be stopped.
struct Stage {
    stage: Mutex<Step>,
    /// The connection's own request to stop.
    stop: Arc<AtomicBool>,
}

enum Step {
    /// It has not begun, or it runs; this stops what runs.
    Open(InterruptHandle),
    /// Its caller has left.
    Left,
    /// It is over, and the connection is another's business.
    Over,
}

impl Stage {
    fn lock(&self) -> MutexGuard<'_, Step> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is still somebody who wants it.
    fn is_wanted(&self) -> bool {
        matches!(*self.lock(), Step::Open(_))
    }

    /// Nothing is stopped any more after this.
    fn finish(&self) {
        let mut step = self.lock();
        *step = Step::Over;
        self.stop.store(false, Relaxed);
    }
}

/// Stops the work when its caller leaves.
struct Caller(Arc<Stage>);

impl Drop for Caller {
    fn drop(&mut self) {
        let mut step = self.0.lock();
        // Under the lock: as long as the work is not over, the connection is still its own.
        if let Step::Open(handle) = &*step {
            // Whatever it begins from now on is stopped by the flag, what it does now by the handle.
            self.0.stop.store(true, Relaxed);
            handle.interrupt();
            *step = Step::Left;
        }
    }
}

/// Runs `work` with a connection on a thread of the manager's.
///
/// # Cancel safety
///
/// Dropping the future stops the work at its next look, or before it begins. The connection goes
/// back when it has ended, not before.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    threads: &Threads,
    is_memory: bool,
    connection: OwnedGuard<SqliteManager>,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T, SqliteError> + Send + 'static,
) -> Result<T, WorkError> {
    let stage = Arc::new(Stage {
        stage: Mutex::new(Step::Open(connection.get_interrupt_handle())),
        stop: connection.stop(),
    });
    let answers = Arc::new(WaitList::new(Vec::new()));
    let job = {
        let (stage, answers) = (Arc::clone(&stage), Arc::clone(&answers));
        move || {
            let answer = run(&stage, connection, is_memory, work);
            answers.put(answer);
        }
    };
    let started = threads.start(job);
    started.map_err(|error| WorkError::Failed(SqliteError::NoThread(error)))?;
    let caller = Caller(stage);
    let answer = answers.take().await;
    drop(caller);
    // Nobody has left: the caller is here.
    answer.expect("work that somebody waits for is run")
}

/// `None` if its caller had left before it began.
fn run<T>(
    stage: &Stage,
    mut connection: OwnedGuard<SqliteManager>,
    is_memory: bool,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T, SqliteError>,
) -> Option<Result<T, WorkError>> {
    if !stage.is_wanted() {
        stage.finish();
        return None;
    }
    let ended = contain(|| work(&mut connection));
    stage.finish();
    Some(match ended {
        Ok(Ok(value)) => {
            drop(connection);
            Ok(value)
        }
        Ok(Err(error)) => {
            // With a connection to memory the data would go too.
            match error.is_fatal() && !is_memory {
                true => OwnedGuard::discard(connection),
                false => drop(connection),
            }
            Err(WorkError::Failed(error))
        }
        Err(message) => {
            // What it left open in memory is rolled back.
            match is_memory {
                true => drop(connection),
                false => OwnedGuard::discard(connection),
            }
            Err(WorkError::Panicked { message })
        }
    })
}
