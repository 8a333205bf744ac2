//! [`Slot`]: a place for what a wait needs, which is empty for as long as there is no wait.

/// A place for something that is rarely there, as small as a pointer.
///
/// A future that finds its value at its first poll never fills it. Being a pointer, it then lives in a
/// register, and the future costs no more than the look: with its content in place, it would be written
/// to memory and looked at again when it is dropped.
pub(crate) struct Slot<S>(Option<Box<S>>);

impl<S> Slot<S> {
    #[inline]
    pub(crate) fn empty() -> Self {
        Self(None)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Option<Box<S>> {
        self.0.take()
    }

    /// Puts something there. What was there is dropped.
    #[inline]
    pub(crate) fn put(&mut self, content: Box<S>) {
        self.0 = Some(content);
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use std::rc::Rc;

    use super::Slot;

    #[test]
    fn what_is_put_is_dropped_once() {
        let content = Rc::new(());
        let mut slot = Slot::empty();
        assert!(slot.is_empty() && slot.take().is_none());
        slot.put(Box::new(Rc::clone(&content)));
        slot.put(Box::new(Rc::clone(&content)));
        assert_eq!(Rc::strong_count(&content), 2);
        assert!(slot.take().is_some() && slot.is_empty());
        assert_eq!(Rc::strong_count(&content), 1);
        slot.put(Box::new(Rc::clone(&content)));
        drop(slot);
        assert_eq!(Rc::strong_count(&content), 1);
    }
}
