//! [`Managed`]: a resource that is closed exactly once; [`Close`]: how.

mod adapters;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use brolly_sync::block_on;

use crate::scope::{CleanupCause, Closing, Home, Known, close};

const THERE: &str = "a handle has its resource until it is dropped";

/// A resource that has to be closed, which may fail and may have to wait.
///
/// Here for `std::fs::File`, which is written to its disk; for `std::io::BufWriter` around what can
/// be closed, which is flushed first; for `std::net::TcpStream`, which is shut down in both
/// directions; and with features `tcp` and `tokio` for `tokio::net::TcpStream`, whose sending side
/// is shut down.
#[doc(alias = "AsyncClose")]
pub trait Close: Send + 'static {
    /// Why it could not be closed.
    type Error: Error + Send + Sync + 'static;

    /// Closes. An error leaves it open: this is called again then. Never called again after it
    /// succeeded.
    ///
    /// Dropping the future leaves the resource open, so that this may be called again.
    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// An open resource on the list of a [`ResourceScope`](crate::ResourceScope), closed exactly once:
/// by [`close`](Self::close), or when this is dropped.
///
/// A drop looks at the closing once, so that what never waits is closed at once. If it has to wait,
/// the scope's spawner goes on with it; without one the resource stays open on the scope's list.
/// What fails stays there too; either is told to the scope's listener, and tried again by
/// [`roll_back`](crate::ResourceScope::roll_back). Once the scope is gone, what cannot be closed is
/// dropped.
///
/// A file is opened the usual way, and its errors are those of the system:
///
/// ```
/// use brolly_resource_pool::{Managed, ResourceScope};
/// use std::fs::File;
/// use std::io::Write;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::env::temp_dir().join(format!("brolly-managed-{}", std::process::id()));
/// let open = ResourceScope::new();
/// let mut log = open.manage("log", File::create(&path)?)?;
/// writeln!(log, "a line")?;
/// assert_eq!(open.entries()[0].id, "log");
/// Managed::close_blocking(&mut log)?; // a full disk is an error here
/// assert!(open.is_empty());
/// # std::fs::remove_file(&path)?;
/// # Ok(())
/// # }
/// ```
///
/// Methods are functions, `Managed::close(&mut managed)`, so that they hide none of the resource.
#[doc(alias = "managed_file")]
#[must_use = "a resource that is not held is closed at once"]
pub struct Managed<R: Close> {
    /// Boxed here, so that leaving it to the scope allocates little.
    resource: Option<Box<R>>,
    is_closed: bool,
    what: Known,
    home: Arc<Home>,
}

impl<R: Close> Managed<R> {
    pub(crate) fn new(resource: R, what: Known, home: Arc<Home>) -> Self {
        Self {
            resource: Some(Box::new(resource)),
            is_closed: false,
            what,
            home,
        }
    }

    /// Closes the resource, unless it is closed: a second time does nothing. It can still be looked
    /// at afterwards.
    ///
    /// # Errors
    ///
    /// [`CleanupCause`]: it failed or panicked. The resource is open, listed, and can be closed
    /// again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the resource open; closing it again begins anew.
    pub async fn close(this: &mut Self) -> Result<(), CleanupCause> {
        if !this.is_closed {
            close(&mut **this.resource.as_mut().expect(THERE)).await?;
            this.is_closed = true;
            this.home.remove(this.what.seat);
        }
        Ok(())
    }

    /// The same, putting the thread to sleep while it waits.
    ///
    /// Must not be called from a task: it would block the executor's thread.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn close_blocking(this: &mut Self) -> Result<(), CleanupCause> {
        block_on(Self::close(this))
    }

    /// Whether it is closed.
    #[must_use]
    pub fn is_closed(this: &Self) -> bool {
        this.is_closed
    }

    /// For how long it has been listed. Zero once it is closed or forgotten.
    #[must_use]
    pub fn lifetime(this: &Self) -> Duration {
        this.home.age(this.what.seat).unwrap_or_default()
    }

    /// Takes the resource off the list as it is: nobody closes it any more.
    #[must_use = "what is taken off the list is the caller's to close"]
    pub fn into_inner(mut this: Self) -> R {
        let resource = this.resource.take().expect(THERE);
        if !this.is_closed {
            this.home.remove(this.what.seat);
        }
        *resource
    }
}

impl<R: Close> Drop for Managed<R> {
    fn drop(&mut self) {
        let Some(resource) = self.resource.take() else {
            return;
        };
        match self.is_closed {
            true => crate::panics::discard(resource),
            false => {
                let what = self.what.clone();
                self.home.end_now(what, Box::new(Closing(resource)));
            }
        }
    }
}

impl<R: Close> Deref for Managed<R> {
    type Target = R;

    fn deref(&self) -> &R {
        self.resource.as_ref().expect(THERE)
    }
}

impl<R: Close> DerefMut for Managed<R> {
    fn deref_mut(&mut self) -> &mut R {
        self.resource.as_mut().expect(THERE)
    }
}

impl<R: Close + fmt::Debug> fmt::Debug for Managed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Managed")
            .field("resource", &**self)
            .field("is_closed", &self.is_closed)
            .finish_non_exhaustive()
    }
}
