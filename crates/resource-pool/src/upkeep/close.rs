//! Closing resources: each counts as one of the pool's until it is gone.

use std::sync::Arc;

use brolly_sync::TimerExt;

use crate::manager::{CloseReason, Manager};
use crate::panics::contained;
use crate::places::loan::Item;
use crate::shared::Shared;

/// Takes a resource off the counts when it is gone, or when nobody goes on closing it.
struct Closing<M: Manager>(Arc<Shared<M>>);

impl<M: Manager> Drop for Closing<M> {
    fn drop(&mut self) {
        self.0.change(|core, _, _| {
            core.closing -= 1;
            core.size -= 1;
        });
    }
}

/// Closes what has left its place.
pub(crate) fn all<M: Manager>(
    shared: &Shared<M>,
    retired: Vec<(Box<Item<M::Resource>>, CloseReason)>,
) {
    for (item, reason) in retired {
        let Some(shared) = shared.arc() else {
            // The last handle is gone, and with it the counts.
            crate::panics::discard(item);
            continue;
        };
        let task = Box::pin(run(Arc::clone(&shared), *item, reason));
        shared.run_or_drop(task);
    }
}

fn run<M: Manager>(
    shared: Arc<Shared<M>>,
    item: Item<M::Resource>,
    reason: CloseReason,
) -> impl Future<Output = ()> + Send {
    let closing = Closing(shared);
    async move {
        let Closing(shared) = &closing;
        one(shared, item.resource, reason).await;
        drop(closing);
    }
}

/// Has the manager close a resource that the counts do not know of. Whether it was closed or given
/// up, it is gone.
pub(crate) async fn one<M: Manager>(
    shared: &Shared<M>,
    resource: M::Resource,
    reason: CloseReason,
) {
    let limit = shared.rules.close_timeout;
    let closed = contained(async { shared.manager.close(resource, reason).await });
    let _ = shared.timer.timeout(limit, closed).await;
}
