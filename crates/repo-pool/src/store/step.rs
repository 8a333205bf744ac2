//! Single statements that several transactions are made of; the state machine's transition is the first.

use rusqlite::{Transaction, params};

use super::rows::json;
use crate::lease::Token;
use crate::owner::Owner;
use crate::state::SlotState;

/// One transition of the state machine. False if the slot is in no state from which it is allowed.
pub(super) fn step(
    tx: &Transaction<'_>,
    pool: i64,
    number: u32,
    to: SlotState,
    owner: Option<&Owner>,
) -> rusqlite::Result<bool> {
    let update = format!(
        "UPDATE slot SET state = ?3, owner = ?4 WHERE pool = ?1 AND number = ?2 AND state IN ({})",
        states(to.predecessors())
    );
    let changed =
        tx.prepare_cached(&update)?
            .execute(params![pool, number, to.as_str(), owner.map(json)])?;
    Ok(changed == 1)
}

pub(super) fn is_held(
    tx: &Transaction<'_>,
    pool: i64,
    number: u32,
    token: Token,
) -> rusqlite::Result<bool> {
    let mut query =
        tx.prepare_cached("SELECT 1 FROM slot WHERE pool = ?1 AND number = ?2 AND token = ?3")?;
    query.exists(params![pool, number, token.get()])
}

pub(super) fn end_lease(tx: &Transaction<'_>, token: Token, how: &str) -> rusqlite::Result<()> {
    let mut update =
        tx.prepare_cached("UPDATE lease SET ended = ?2 WHERE token = ?1 AND ended IS NULL")?;
    update.execute(params![token.get(), how]).map(drop)
}

pub(super) fn set_note(
    tx: &Transaction<'_>,
    pool: i64,
    number: u32,
    note: Option<&str>,
) -> rusqlite::Result<()> {
    let update = "UPDATE slot SET note = ?3 WHERE pool = ?1 AND number = ?2";
    tx.execute(update, params![pool, number, note]).map(drop)
}

pub(super) fn states(states: impl Iterator<Item = SlotState>) -> String {
    states
        .map(|state| format!("'{state}'"))
        .collect::<Vec<_>>()
        .join(", ")
}
