//! Auto traits are part of the interface; this file fails to compile when one is lost.

use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};

use brolly_sync::{Clock, ManualClock, SystemClock, Take, WaitList};

const fn is_send<T: Send + ?Sized>() {}
const fn is_sync<T: Sync + ?Sized>() {}
const fn is_unpin<T: Unpin>() {}
const fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}

#[test]
fn handles_cross_threads_whenever_their_values_may() {
    is_send::<WaitList<Cell<u8>>>();
    is_sync::<WaitList<Cell<u8>>>();
    is_send::<Take<'_, Cell<u8>>>();
    is_sync::<Take<'_, Cell<u8>>>();
    is_unpin::<Take<'_, std::marker::PhantomPinned>>();
    is_unwind_safe::<WaitList<u8>>();
    is_send::<dyn Clock>();
    is_sync::<dyn Clock>();
    is_send::<(ManualClock, SystemClock)>();
    is_sync::<(ManualClock, SystemClock)>();
    is_unwind_safe::<(ManualClock, SystemClock)>();
}
