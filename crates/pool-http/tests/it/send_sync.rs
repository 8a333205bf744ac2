//! What may cross threads.

use brolly_pool_http::{
    BodyError, HttpConnection, HttpError, HttpManager, HttpPool, HttpPoolBuilder, Origin,
    PooledBody, SendError, TcpConnector,
};

fn crosses<T: Send>() {}
fn is_shared<T: Send + Sync>() {}
fn is_unpin<T: Unpin>() {}

#[test]
fn what_may_cross_threads_does() {
    is_shared::<HttpPool>();
    is_shared::<HttpManager>();
    is_shared::<Origin>();
    crosses::<HttpPoolBuilder<TcpConnector>>();
    crosses::<HttpConnection>();
    crosses::<PooledBody>();
    is_unpin::<PooledBody>();
    is_shared::<SendError>();
    is_shared::<BodyError>();
    is_shared::<HttpError>();
}
