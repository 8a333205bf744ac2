//! The rows of the tables as values, and the columns that need a conversion.

use std::time::Duration;

use rusqlite::Row;

use crate::lease::Token;
use crate::owner::Owner;
use crate::state::SlotState;

/// A row of `pool`.
#[derive(Clone, Debug)]
pub(crate) struct PoolRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) branch: String,
    pub(crate) fetched_boot: String,
    pub(crate) fetched_at: Duration,
    pub(crate) allocations: u64,
    pub(crate) warm_hits: u64,
    pub(crate) failures: u64,
    pub(crate) allocation_time: Duration,
}

/// A row of `slot`, with its lease's holder.
#[derive(Clone, Debug)]
pub(crate) struct SlotRow {
    pub(crate) number: u32,
    pub(crate) state: SlotState,
    pub(crate) head: String,
    pub(crate) token: Token,
    pub(crate) allocations: u64,
    pub(crate) note: Option<String>,
    pub(crate) holder: Option<String>,
    pub(crate) owner: Option<Owner>,
    pub(crate) expires_at: Option<Duration>,
    /// The machine's run in which the lease was given.
    pub(crate) boot: Option<String>,
}

/// A slot that was taken for a tenant and is not handed out yet.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) number: u32,
    pub(crate) token: Token,
    /// The commit the slot is at; empty if it never was at one.
    pub(crate) head: String,
    pub(crate) was_dirty: bool,
    /// Whether its last owner died, so that something of it may still be at work in the slot.
    pub(crate) was_orphaned: bool,
}

/// Who asks for a slot.
#[derive(Debug)]
pub(crate) struct Tenant<'a> {
    pub(crate) holder: &'a str,
    pub(crate) owner: &'a Owner,
    /// Whether the lease outlives its process.
    pub(crate) durable: bool,
}

/// What a tenant gets.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) commit: &'a str,
    pub(crate) warm: bool,
    pub(crate) took: Duration,
    /// When a durable lease ends, by the boot clock.
    pub(crate) expires_at: Option<Duration>,
}

/// A lease as the database knows it.
#[derive(Clone, Debug)]
pub(crate) struct LeaseRow {
    pub(crate) pool: PoolRow,
    pub(crate) slot: u32,
    pub(crate) head: String,
}

/// A slot whose owner died: in the hands of whoever found it, until nothing of the owner runs any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Orphan {
    pub(crate) slot: u32,
    pub(crate) token: Token,
    /// The lock of the process that died.
    pub(crate) presence: String,
}

pub(super) fn read_pool(row: &Row<'_>) -> rusqlite::Result<PoolRow> {
    Ok(PoolRow {
        id: row.get("id")?,
        name: row.get("name")?,
        url: row.get("url")?,
        branch: row.get("branch")?,
        fetched_boot: row.get("fetched_boot")?,
        fetched_at: duration(row.get("fetched_at")?),
        allocations: read_count(row, "allocations")?,
        warm_hits: read_count(row, "warm_hits")?,
        failures: read_count(row, "failures")?,
        allocation_time: duration(row.get("allocation_ns")?),
    })
}

pub(super) fn read_slot(row: &Row<'_>) -> rusqlite::Result<SlotRow> {
    Ok(SlotRow {
        number: row.get("number")?,
        state: read_state(row)?,
        head: row.get("head")?,
        token: Token::new(row.get("token")?),
        allocations: read_count(row, "allocations")?,
        note: row.get("note")?,
        holder: row.get("holder")?,
        owner: read_owner(row, row.as_ref().column_index("owner")?)?,
        expires_at: row.get::<_, Option<i64>>("expires_at")?.map(duration),
        boot: row.get("boot")?,
    })
}

pub(super) fn read_count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

pub(super) fn read_state(row: &Row<'_>) -> rusqlite::Result<SlotState> {
    let column = row.as_ref().column_index("state")?;
    row.get_ref(column)?
        .as_str()?
        .parse()
        .map_err(|error| unreadable(column, error))
}

pub(super) fn read_owner(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Owner>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| unreadable(column, error)))
        .transpose()
}

pub(super) fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

pub(super) fn json(owner: &Owner) -> String {
    serde_json::to_string(owner).expect("an owner is a map of strings and numbers")
}

pub(super) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

pub(super) fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.unsigned_abs())
}
