//! How a connection is made as it was when it was new.

use redis::{Pipeline, ProtocolVersion, RedisConnectionInfo};

/// `RESET` and what the driver sent when it connected, as one pipeline: one round trip.
///
/// `RESET` (Redis 6.2) ends transactions, watches, tracking and subscriptions, forgets the user, the
/// database and the name of the connection, and goes back to RESP2.
pub(crate) fn reset(info: &RedisConnectionInfo) -> Pipeline {
    let mut all = redis::pipe();
    all.cmd("RESET").ignore();
    let user = info.username().unwrap_or("default");
    match (info.protocol(), info.password()) {
        (ProtocolVersion::RESP2, None) => {}
        (ProtocolVersion::RESP2, Some(password)) => {
            let auth = all.cmd("AUTH");
            if info.username().is_some() {
                auth.arg(user);
            }
            auth.arg(password).ignore();
        }
        (_, password) => {
            let hello = all.cmd("HELLO").arg(3);
            if let Some(password) = password {
                hello.arg("AUTH").arg(user).arg(password);
            }
            hello.ignore();
        }
    }
    if info.db() != 0 {
        all.cmd("SELECT").arg(info.db()).ignore();
    }
    all
}
