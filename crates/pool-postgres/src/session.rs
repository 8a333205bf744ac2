//! What is known about the state of a connection, without asking the server.

use std::future::Future;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_postgres::{Error, Statement};

use crate::error::{is_fatal, is_of_the_driver, is_out_of_step, wants_new_statements};
use crate::sql::Leaves;
use crate::statements::Statements;

/// What is known about a connection.
///
/// All of it is written by the holder's calls and read once the holder is gone, which the pool
/// orders. Between calls of one holder it matters only what came before the first poll of another,
/// which whoever polls has ordered. Hence `Relaxed`.
#[derive(Debug)]
pub(crate) struct Session {
    /// Answers begun and not heard to their end. A future that is dropped, leaked or panics never
    /// takes its one back.
    in_flight: AtomicUsize,
    /// Nobody may use it again.
    is_broken: AtomicBool,
    /// The server waits for something that nobody will send, or says what nobody can follow.
    is_out_of_step: AtomicBool,
    /// Counts what may begin a transaction, both when it is begun and when it is done: the driver
    /// may send it any time between.
    begun: AtomicUsize,
    /// How many of those are surely over.
    over: AtomicUsize,
    /// A prepared statement of this connection begins transactions, and whoever runs it is not seen.
    has_prepared_begin: AtomicBool,
    statements: Mutex<Statements<Statement>>,
}

impl Session {
    pub(crate) fn new(statement_limit: usize) -> Self {
        Self {
            in_flight: AtomicUsize::new(0),
            is_broken: AtomicBool::new(false),
            is_out_of_step: AtomicBool::new(false),
            begun: AtomicUsize::new(0),
            over: AtomicUsize::new(0),
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
        // An end speaks for what was done before it was sent, and not for what runs beside it.
        let before = self.begun.load(Relaxed);
        self.may_begin_transaction(leaves);
        self.begin();
        let result = work.await;
        self.end();
        self.may_begin_transaction(leaves);
        if leaves.fewer_statements {
            // Also where a later statement of the same text has failed.
            self.forget_statements();
        }
        match &result {
            Ok(_) if leaves.none_surely => drop(self.over.fetch_max(before, Relaxed)),
            Ok(_) => {}
            Err(error) => self.failed(error),
        }
        result
    }

    /// The same for a call that wants one row at most. If there are more, the driver turns its back
    /// on the rest: then this waits until it has passed, so that nobody else has to.
    pub(crate) async fn run_for_one<T>(
        &self,
        text: Option<&str>,
        work: impl Future<Output = Result<T, Error>>,
        rest: impl Future<Output = Result<(), Error>>,
    ) -> Result<T, Error> {
        let result = self.run(text, work).await;
        if result.as_ref().is_err_and(is_of_the_driver) {
            // What it says is less than what is told already.
            let _ = self.run(None, rest).await;
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
        if is_out_of_step(error) {
            self.is_out_of_step.store(true, Relaxed);
        }
        if is_fatal(error) {
            self.break_up();
        }
        if error.as_db_error().is_some_and(wants_new_statements) {
            self.forget_statements();
        }
    }

    fn may_begin_transaction(&self, leaves: Leaves) {
        if leaves.transaction {
            self.begun.fetch_add(1, Relaxed);
        }
    }

    /// Whatever was begun is over, and nothing runs beside it.
    pub(crate) fn transaction_is_over(&self) {
        self.over.store(self.begun.load(Relaxed), Relaxed);
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

    pub(crate) fn is_out_of_step(&self) -> bool {
        self.is_out_of_step.load(Relaxed)
    }

    pub(crate) fn is_unfit(&self) -> bool {
        self.is_broken.load(Relaxed) || self.is_cut_short()
    }

    /// Whether the holder may have left a transaction open. Asked once for each holder.
    pub(crate) fn take_transaction(&self) -> bool {
        let begun = self.begun.load(Relaxed);
        let over = self.over.swap(begun, Relaxed);
        over != begun || self.has_prepared_begin.load(Relaxed)
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

    fn forget_statements(&self) {
        let leaving = self.lock().take();
        drop(leaving);
    }

    fn lock(&self) -> MutexGuard<'_, Statements<Statement>> {
        self.statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
