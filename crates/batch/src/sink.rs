//! [`BulkSink`]: items into a store by bulk calls, and a buffer for what it refuses.
