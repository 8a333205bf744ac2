//! [`Connection`]: a connection in somebody's hands, that notes what is left open on it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult};
use redis::{ServerErrorKind, Value};

use crate::commands::{Effect, effect, effect_of_all};
use crate::error::{is_fatal, is_fatal_refusal, parts};

const NO_PERMISSION: ErrorKind = ErrorKind::Server(ServerErrorKind::NoPerm);

/// A connection. Commands are run on it as on any of the driver's: by `redis::AsyncCommands`,
/// `redis::cmd`, `redis::pipe`.
///
/// # Cancel safety
///
/// A future that is dropped once it was polled closes the connection when it comes back: its command
/// may still be at work, and its answer still to come. Until then the same holder may go on, and
/// gets the answers to its own commands.
pub struct Connection {
    inner: MultiplexedConnection,
    reset: Arc<Pipeline>,
    state: State,
}

#[derive(Debug)]
struct State {
    /// A command was sent whose answer nobody has heard.
    is_open: bool,
    is_broken: bool,
    left: Effect,
    /// A reset before the next command.
    must_reset: bool,
    can_reset: bool,
}

impl Connection {
    pub(crate) fn new(inner: MultiplexedConnection, reset: Arc<Pipeline>) -> Self {
        Self {
            inner,
            reset,
            state: State {
                is_open: false,
                is_broken: false,
                left: Effect::None,
                must_reset: false,
                can_reset: false,
            },
        }
    }

    /// Learns whether the server knows `RESET`, by resetting.
    pub(crate) async fn try_reset(&mut self) -> RedisResult<()> {
        let Self {
            inner,
            reset,
            state,
        } = self;
        match state.watch(reset.query_async::<()>(inner)).await {
            Ok(()) => state.can_reset = true,
            // Refused. What came after it in the pipeline has done what it had done before.
            Err(error) if is_refusal_of_the_first(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether nobody may use it again, judged when it comes back. If it only has to be reset, that
    /// is noted, and done before its next command.
    pub(crate) fn is_done_for(&mut self, resets_always: bool) -> bool {
        let state = &mut self.state;
        if state.is_broken || state.is_open || state.left == Effect::Lost {
            return true;
        }
        let wants_reset = resets_always || state.left == Effect::Changed || state.must_reset;
        if wants_reset && !state.can_reset {
            return true;
        }
        state.must_reset = wants_reset;
        state.left = Effect::None;
        false
    }

    /// A sign of life. A reset that is due is one.
    pub(crate) async fn ping(&mut self) -> RedisResult<()> {
        if self.state.must_reset {
            return self.settle().await;
        }
        let answer = match redis::cmd("PING").query_async::<String>(self).await {
            Ok(answer) if answer == "PONG" => return Ok(()),
            Ok(answer) => answer,
            // Who may not ask has been answered as well.
            Err(error) if error.kind() == NO_PERMISSION => return Ok(()),
            Err(error) => return Err(error),
        };
        self.state.is_broken = true;
        let kind = ErrorKind::UnexpectedReturnType;
        Err((kind, "PING was not answered with PONG", answer).into())
    }

    /// Undoes what the last holder has left.
    async fn settle(&mut self) -> RedisResult<()> {
        if !self.state.must_reset {
            return Ok(());
        }
        let Self {
            inner,
            reset,
            state,
        } = self;
        let done = state.watch(reset.query_async::<()>(inner)).await;
        // Refused half way, nobody knows what it is set to.
        state.is_broken |= done.is_err();
        state.must_reset = done.is_err();
        done
    }
}

impl State {
    /// Runs what talks to the server, and learns from it.
    async fn watch<T>(&mut self, work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        let was_open = std::mem::replace(&mut self.is_open, true);
        let result = work.await;
        self.is_open = was_open;
        self.is_broken |= result.as_ref().is_err_and(is_fatal);
        result
    }

    fn send(&mut self, effect: Effect) {
        self.left = self.left.max(effect);
    }

    /// A refusal that comes as a value.
    fn hear(&mut self, value: &Value) {
        if let Value::ServerError(error) = value {
            self.is_broken |= is_fatal_refusal(error);
        }
    }
}

/// Whether only the first command of a pipeline was refused.
fn is_refusal_of_the_first(error: &RedisError) -> bool {
    let parts = parts(error);
    !parts.is_empty() && parts.iter().all(|(at, _)| *at == 0)
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            self.settle().await?;
            let Self { inner, state, .. } = self;
            state.send(effect(cmd));
            let value = state.watch(inner.send_packed_command(cmd)).await?;
            state.hear(&value);
            Ok(value)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            self.settle().await?;
            let Self { inner, state, .. } = self;
            state.send(effect_of_all(pipeline));
            let work = inner.send_packed_commands(pipeline, offset, count);
            let values = state.watch(work).await?;
            values.iter().for_each(|it| state.hear(it));
            Ok(values)
        })
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pipeline holds a password.
        f.debug_struct("Connection")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
