//! What is known about the state of a connection, without asking the server.

use std::future::Future;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_postgres::{Error, Statement};

use crate::error::is_fatal;
use crate::sql::Leaves;
use crate::statements::Statements;

/// What is known about a connection.
///
/// All of it is written by the holder's calls and read once the holder is gone, which the pool
/// orders; between calls of one holder nothing depends on an order. Hence `Relaxed`.
#[derive(Debug)]
pub(crate) struct Session {
    /// Answers begun and not heard to their end. A future that is dropped, leaked or panics never
    /// takes its one back.
    in_flight: AtomicUsize,
    /// Nobody may use it again.
    is_broken: AtomicBool,
    may_be_in_transaction: AtomicBool,
    /// A prepared statement of this connection begins transactions, and whoever runs it is not seen.
    has_prepared_begin: AtomicBool,
    statements: Mutex<Statements<Statement>>,
}

impl Session {
    pub(crate) fn new(statement_limit: usize) -> Self {
        Self {
            in_flight: AtomicUsize::new(0),
            is_broken: AtomicBool::new(false),
            may_be_in_transaction: AtomicBool::new(false),
            has_prepared_begin: AtomicBool::new(false),
            statements: Mutex::new(Statements::new(statement_limit)),
        }
    }

    /// Runs what talks to the server, and learns from it.
    pub(crate) async fn run<T>(
        &self,
        text: Option<&str>,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let leaves = text.map(Leaves::of).unwrap_or_default();
        if leaves.transaction {
            self.may_be_in_transaction.store(true, Relaxed);
        }
        self.begin();
        let result = work.await;
        self.end();
        match &result {
            Ok(_) => self.succeeded(leaves),
            Err(error) => self.failed(error),
        }
        result
    }

    /// An answer is waited for.
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// It came, to its end.
    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(crate) fn failed(&self, error: &Error) {
        if is_fatal(error) {
            self.break_up();
        }
    }

    fn succeeded(&self, leaves: Leaves) {
        if leaves.none_surely {
            self.may_be_in_transaction.store(false, Relaxed);
        }
        if leaves.fewer_statements {
            self.forget_statements();
        }
    }

    pub(crate) fn prepared(&self, text: &str) {
        if Leaves::of(text).transaction {
            self.has_prepared_begin.store(true, Relaxed);
        }
    }

    pub(crate) fn break_up(&self) {
        self.is_broken.store(true, Relaxed);
    }

    /// Whether somebody began what nobody saw the end of.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.in_flight.load(Relaxed) != 0
    }

    pub(crate) fn is_unfit(&self) -> bool {
        self.is_broken.load(Relaxed) || self.is_cut_short()
    }

    /// Whether the holder may have left a transaction open. Asked once for each holder.
    pub(crate) fn take_transaction(&self) -> bool {
        self.may_be_in_transaction.swap(false, Relaxed) || self.has_prepared_begin.load(Relaxed)
    }

    pub(crate) fn statement(&self, text: &str) -> Option<Statement> {
        self.lock().get(text)
    }

    pub(crate) fn keep_statement(&self, text: &str, statement: &Statement) {
        // Dropping one talks to the driver: not under the lock.
        let leaves = self.lock().insert(text, statement.clone());
        drop(leaves);
    }

    pub(crate) fn statement_count(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn forget_statements(&self) {
        let leaving = self.lock().take();
        drop(leaving);
    }

    fn lock(&self) -> MutexGuard<'_, Statements<Statement>> {
        self.statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
