//! What a load does: calls the loader, tries again, gives up in time, and lands.

use std::sync::Arc;

use brolly_sync::{Join, TimerExt};

use crate::error::LoadError;
use crate::loader::Unready;
use crate::panics::{discard, message};
use crate::shared::{Outcome, Run, Shared};

/// One load, from its loader to its end.
pub(crate) async fn run<T, E>(
    landing: Landing<T, E>,
    before: Option<Join<Outcome<T, E>>>,
) -> Outcome<T, E>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    if let Some(before) = before {
        // However it ends: what it brings may be too old.
        discard(before.await);
    }
    let shared = Arc::clone(&landing.shared);
    shared.begin(&landing.run);
    let attempts = attempts(&shared);
    let ending = match (shared.rules.load_timeout, &shared.rules.timer) {
        (Some(after), Some(timer)) => match timer.timeout(after, attempts).await {
            Ok(ending) => ending,
            Err(_) => Err(Ending::Late(LoadError::Timeout { after })),
        },
        _ => attempts.await,
    };
    landing.land(ending)
}

/// Why there is no value.
enum Ending<E> {
    Failed(E),
    Unready(Unready),
    Late(LoadError<E>),
}

/// Calls the loader until it brings a value, or has failed as often as it may.
async fn attempts<T, E>(shared: &Shared<T, E>) -> Result<T, Ending<E>>
where
    T: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    let mut left = None;
    loop {
        shared.counters.attempts.count();
        let error = match shared.loader.call(&shared.identity).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(unready) => return Err(Ending::Unready(unready)),
        };
        let (Some(retry), Some(timer)) = (&shared.rules.retry, &shared.rules.timer) else {
            return Err(Ending::Failed(error));
        };
        let (left, backoff) =
            left.get_or_insert_with(|| (retry.attempts - 1, retry.backoff.fresh()));
        if *left == 0 {
            return Err(Ending::Failed(error));
        }
        *left -= 1;
        discard(error);
        timer.sleep(backoff.next_delay()).await;
    }
}

/// Owes its value an end. Dropped with its load, it says that there will be none.
pub(crate) struct Landing<T: Send + Sync + 'static, E: Send + Sync + 'static> {
    shared: Arc<Shared<T, E>>,
    run: Arc<Run>,
    has_landed: bool,
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Landing<T, E> {
    pub(crate) fn new(shared: Arc<Shared<T, E>>, run: Arc<Run>) -> Self {
        Self {
            shared,
            run,
            has_landed: false,
        }
    }

    fn land(mut self, ending: Result<T, Ending<E>>) -> Outcome<T, E> {
        // Said at the end: should the clock panic on the way, the load still leaves its place.
        let error = match ending {
            Ok(value) => {
                let value = Arc::new(value);
                self.shared.land(&self.run, &value);
                self.has_landed = true;
                return Ok(value);
            }
            Err(Ending::Failed(error)) => LoadError::Failed(Arc::new(error)),
            Err(Ending::Late(error)) => error,
            Err(Ending::Unready(Unready::Dropped)) => LoadError::Dropped,
            Err(Ending::Unready(Unready::Panicked(payload))) => {
                let message = message(&payload);
                self.run.fallout.keep(payload);
                LoadError::Panicked { message }
            }
        };
        self.shared.fail(&self.run, &error);
        self.has_landed = true;
        Err(error)
    }
}

impl<T: Send + Sync + 'static, E: Send + Sync + 'static> Drop for Landing<T, E> {
    fn drop(&mut self) {
        if !self.has_landed {
            self.shared.abandon(&self.run);
        }
    }
}
