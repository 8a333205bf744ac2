//! [`Kept`]: the handle of a resource that a scope undoes when it rolls back.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::scope::ending::{Cleanup, Undo};
use crate::scope::list::Home;

const KEPT: &str = "a handle has its resource until it is dropped";

/// A resource in a [`ResourceScope`](crate::ResourceScope).
///
/// Dropping the handle gives the resource to the scope, which has it until it commits or rolls back.
/// After a commit the handle is all there is: it drops the resource. After a roll-back that found it
/// in use, it undoes the resource at once.
///
/// Methods are functions, `Kept::into_inner(kept)`, so that they hide none of the resource.
#[must_use = "a resource whose handle is dropped is in the scope until that ends"]
pub struct Kept<R: Send + 'static> {
    /// Boxed here, so that giving it to the scope allocates nothing.
    undo: Option<Box<Undo<R>>>,
    seat: u64,
    home: Arc<Home>,
}

impl<R: Send + 'static> Kept<R> {
    pub(crate) fn new(resource: R, seat: u64, home: Arc<Home>) -> Self {
        Self {
            undo: Some(Box::new(Undo::new(resource))),
            seat,
            home,
        }
    }

    /// What is to be done with the resource when the scope rolls back; it replaces what was said
    /// before. Without any, the resource is dropped.
    ///
    /// A roll-back that nobody waits for, as the drop of a scope begins it, looks at the future once
    /// on the thread of the drop; if it has to wait, the scope's spawner goes on with it. So what
    /// never waits is done at once.
    pub fn on_rollback<F, Fut>(this: &mut Self, undo: F)
    where
        F: FnOnce(R) -> Fut + Send + 'static,
        Fut: Future<Output: Cleanup> + Send + 'static,
    {
        this.undo.as_mut().expect(KEPT).set(undo);
    }

    /// Takes the resource out of the scope: it is not undone any more.
    #[must_use = "what is taken out is the caller's"]
    pub fn into_inner(mut this: Self) -> R {
        this.home.remove(this.seat);
        let undo = this.undo.take();
        undo.and_then(|it| it.resource).expect(KEPT)
    }
}

impl<R: Send + 'static> Drop for Kept<R> {
    fn drop(&mut self) {
        if let Some(undo) = self.undo.take() {
            self.home.give_back(self.seat, undo);
        }
    }
}

impl<R: Send + 'static> Deref for Kept<R> {
    type Target = R;

    fn deref(&self) -> &R {
        let resource = self.undo.as_ref().and_then(|it| it.resource.as_ref());
        resource.expect(KEPT)
    }
}

impl<R: Send + 'static> DerefMut for Kept<R> {
    fn deref_mut(&mut self) -> &mut R {
        let resource = self.undo.as_mut().and_then(|it| it.resource.as_mut());
        resource.expect(KEPT)
    }
}

impl<R: fmt::Debug + Send + 'static> fmt::Debug for Kept<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&**self).finish()
    }
}
