//! What several test modules need.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use brolly_ttl_cache::EvictionPolicy;

/// All policies there are.
pub(crate) const POLICIES: [EvictionPolicy; 5] = [
    EvictionPolicy::Lru,
    EvictionPolicy::Fifo,
    EvictionPolicy::Lfu,
    EvictionPolicy::SoonestExpiry,
    EvictionPolicy::Adaptive,
];

/// Runs a scene that might never end, and fails if it does not within half a minute.
pub(crate) fn with_time_limit(what: &str, scene: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel();
    let thread = std::thread::spawn(move || {
        scene();
        let _ = done.send(());
    });
    match ended.recv_timeout(Duration::from_secs(30)) {
        Err(RecvTimeoutError::Timeout) => panic!("{what}: hangs"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// How many cases a model runs: `default`, or what `PROPTEST_CASES` asks for.
pub(crate) fn cases(default: u32) -> u32 {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    wanted
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(default)
}
