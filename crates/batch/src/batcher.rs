//! [`Batcher`]: concurrent calls collapsed into bulk calls.
