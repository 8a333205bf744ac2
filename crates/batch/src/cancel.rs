//! [`CancelToken`]: ends runs from outside, at once or after what already runs.
