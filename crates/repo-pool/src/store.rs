//! The pools' database: the only authority on who holds which slot.
//!
//! What must stay true:
//! 1. Every change of a slot's state is one `UPDATE` that names the states it may come from
//!    ([`SlotState::predecessors`]); who loses a race changes no row.
//! 2. A slot is in the hands of the lease whose token stands in its row, and of nobody else. Tokens
//!    grow and are never used twice (`AUTOINCREMENT`), so an older token is known to be stale.
//! 3. A slot in a state that somebody works in has an owner or, for a durable lease, an end. Once the
//!    owner is dead or the end is past, the slot becomes dirty, never available.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{
    Connection, OptionalExtension, Row, Transaction, TransactionBehavior, named_params, params,
};

use crate::config::SlotPolicy;
use crate::error::{DatabaseError, Error};
use crate::lease::Token;
use crate::lock::FileLock;
use crate::owner::Owner;
use crate::state::SlotState;

/// The version of the tables; a database with a newer one is refused.
const SCHEMA: i64 = 1;

/// Says that a SQLite file is a pool database ("brly").
const APPLICATION: i64 = 0x6272_6c79;

/// Ended leases that are remembered, so that a second release is told apart from a forged token.
const ENDED_LEASES: i64 = 10_000;

const TABLES: &str = "
CREATE TABLE pool (
    id            INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    url           TEXT    NOT NULL,
    branch        TEXT    NOT NULL,
    ready         INTEGER NOT NULL,
    owner         TEXT,
    fetched_boot  TEXT    NOT NULL DEFAULT '',
    fetched_at    INTEGER NOT NULL DEFAULT 0,
    refs_version  INTEGER NOT NULL DEFAULT 0,
    allocations   INTEGER NOT NULL DEFAULT 0,
    warm_hits     INTEGER NOT NULL DEFAULT 0,
    failures      INTEGER NOT NULL DEFAULT 0,
    allocation_ns INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE slot (
    pool          INTEGER NOT NULL REFERENCES pool (id) ON DELETE CASCADE,
    number        INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    head          TEXT    NOT NULL,
    refs_version  INTEGER NOT NULL,
    token         INTEGER NOT NULL DEFAULT 0,
    owner         TEXT,
    last_used     INTEGER NOT NULL DEFAULT 0,
    allocations   INTEGER NOT NULL DEFAULT 0,
    note          TEXT,
    PRIMARY KEY (pool, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE lease (
    token         INTEGER PRIMARY KEY AUTOINCREMENT,
    pool          INTEGER NOT NULL REFERENCES pool (id) ON DELETE CASCADE,
    slot          INTEGER NOT NULL,
    holder        TEXT    NOT NULL,
    owner         TEXT    NOT NULL,
    boot          TEXT    NOT NULL,
    expires_at    INTEGER,
    ended         TEXT
) STRICT;
";

/// A row of `pool`.
#[derive(Clone, Debug)]
pub(crate) struct PoolRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) branch: String,
    pub(crate) fetched_boot: String,
    pub(crate) fetched_at: Duration,
    pub(crate) refs_version: i64,
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
    pub(crate) refs_version: i64,
    pub(crate) was_dirty: bool,
}

/// Who asks for a slot.
#[derive(Debug)]
pub(crate) struct Tenant<'a> {
    pub(crate) holder: &'a str,
    pub(crate) owner: &'a Owner,
    /// When a durable lease ends, by the boot clock.
    pub(crate) expires_at: Option<Duration>,
}

/// What a tenant gets.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) commit: &'a str,
    pub(crate) refs_version: i64,
    pub(crate) warm: bool,
    pub(crate) took: Duration,
}

/// A lease as the database knows it.
#[derive(Clone, Debug)]
pub(crate) struct LeaseRow {
    pub(crate) pool: PoolRow,
    pub(crate) slot: u32,
    pub(crate) head: String,
    pub(crate) refs_version: i64,
}

/// A slot that was taken from an owner that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reclaimed {
    pub(crate) slot: u32,
    /// Whether a process died, so that children of it may still be at work in the slot.
    pub(crate) orphaned: bool,
}

#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// Writers queue here before they begin a transaction: SQLite itself makes them sleep and try
    /// again, which is neither fair nor quick under contention.
    turnstile: PathBuf,
    timeout: Duration,
    connection: Mutex<Connection>,
}

impl Store {
    pub(crate) fn open(root: &Path, timeout: Duration) -> Result<Self, Error> {
        let path = root.join("pool.db");
        let turnstile = root.join("write.lock");
        let connection = Connection::open(&path).map_err(|error| database_error(&path, error))?;
        let store = Self {
            path,
            turnstile,
            timeout,
            connection: Mutex::new(connection),
        };
        store.prepare()?;
        Ok(store)
    }

    fn prepare(&self) -> Result<(), Error> {
        let _turn = FileLock::acquire(&self.turnstile, self.timeout)?;
        let connection = self.connection();
        let run = || {
            connection.busy_timeout(self.timeout)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            let version: i64 =
                connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let application: i64 =
                connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
            if (version, application) == (0, 0) {
                // NORMAL loses at most the last commits when the machine loses power, and leases of a
                // machine that went down are void anyway.
                connection.pragma_update(None, "journal_mode", "WAL")?;
                connection.execute_batch(&format!(
                    "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; COMMIT;"
                ))?;
                return Ok((SCHEMA, APPLICATION));
            }
            Ok((version, application))
        };
        let (version, application) = run().map_err(|error| self.error(error))?;
        connection
            .pragma_update(None, "synchronous", "NORMAL")
            .map_err(|error| self.error(error))?;
        let reason = if application != APPLICATION {
            "it belongs to another program; choose another root".to_owned()
        } else if version > SCHEMA {
            format!(
                "it has schema version {version} and this program knows up to {SCHEMA}; use a newer version of the program"
            )
        } else {
            return Ok(());
        };
        Err(Error::Database {
            path: self.path.clone(),
            reason,
            source: None,
        })
    }

    /// Enters a pool that is not ready yet, with its slots being created. A row that a dead creator left is replaced.
    pub(crate) fn insert_pool(
        &self,
        name: &str,
        url: &str,
        branch: &str,
        slots: u32,
        owner: &Owner,
    ) -> Result<PoolRow, Error> {
        self.write(|tx| {
            let existing = tx.query_row("SELECT id, ready, owner FROM pool WHERE name = ?1", [name], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?, read_owner(row, 2)?))
            });
            if let Some((id, ready, creator)) = existing.optional()? {
                if ready || creator.is_some_and(|creator| !creator.is_dead(owner)) {
                    return Ok(None);
                }
                tx.execute("DELETE FROM pool WHERE id = ?1", [id])?;
            }
            tx.execute(
                "INSERT INTO pool (name, url, branch, ready, owner) VALUES (?1, ?2, ?3, FALSE, ?4)",
                params![name, url, branch, json(owner)],
            )?;
            let id = tx.last_insert_rowid();
            let state = SlotState::Creating.as_str();
            for number in 1..=slots {
                tx.execute(
                    "INSERT INTO slot (pool, number, state, head, refs_version, owner) VALUES (?1, ?2, ?3, '', 0, ?4)",
                    params![id, number, state, json(owner)],
                )?;
            }
            tx.query_row("SELECT * FROM pool WHERE id = ?1", [id], read_pool).map(Some)
        })?
        .ok_or_else(|| Error::PoolExists { name: name.to_owned() })
    }

    /// Opens a pool to everybody: its slots exist and are at `head`.
    pub(crate) fn pool_is_ready(&self, pool: i64, head: &str) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "UPDATE pool SET ready = TRUE, owner = NULL WHERE id = ?1",
                [pool],
            )?;
            let (from, to) = (SlotState::Creating.as_str(), SlotState::Available.as_str());
            tx.execute(
                "UPDATE slot SET state = ?1, head = ?2, owner = NULL,
                     refs_version = (SELECT refs_version FROM pool WHERE id = ?3)
                 WHERE pool = ?3 AND state = ?4",
                params![to, head, pool, from],
            )?;
            Ok(())
        })
    }

    pub(crate) fn delete_pool(&self, pool: i64) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute("DELETE FROM pool WHERE id = ?1", [pool])
                .map(drop)
        })
    }

    pub(crate) fn pool(&self, name: &str) -> Result<PoolRow, Error> {
        let found = self.read(|db| {
            db.prepare_cached("SELECT * FROM pool WHERE name = ?1 AND ready")?
                .query_row([name], read_pool)
                .optional()
        })?;
        found.ok_or_else(|| Error::PoolNotFound {
            name: name.to_owned(),
        })
    }

    /// A pool that may still be in the making.
    pub(crate) fn pool_by_id(&self, id: i64) -> Result<PoolRow, Error> {
        self.read(|db| {
            db.prepare_cached("SELECT * FROM pool WHERE id = ?1")?
                .query_row([id], read_pool)
        })
    }

    /// Every pool that is ready, by name.
    pub(crate) fn pools(&self) -> Result<Vec<PoolRow>, Error> {
        self.read(|db| {
            db.prepare_cached("SELECT * FROM pool WHERE ready ORDER BY name")?
                .query_map([], read_pool)?
                .collect()
        })
    }

    /// The slots of a pool, by number.
    pub(crate) fn slots(&self, pool: i64) -> Result<Vec<SlotRow>, Error> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT slot.*, lease.holder AS holder, lease.expires_at AS expires_at, lease.boot AS boot
                 FROM slot LEFT JOIN lease ON lease.token = slot.token AND lease.ended IS NULL
                 WHERE slot.pool = ?1 ORDER BY slot.number",
            )?;
            query.query_map([pool], read_slot)?.collect()
        })
    }

    /// Records that a fetch that began at `started` has ended.
    pub(crate) fn fetched(
        &self,
        pool: i64,
        boot: &str,
        started: Duration,
        changed: bool,
    ) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "UPDATE pool SET fetched_boot = ?2, fetched_at = ?3, refs_version = refs_version + ?4 WHERE id = ?1",
                params![pool, boot, nanos(started), changed],
            )
            .map(drop)
        })
    }

    /// Takes the best free slot for a tenant, if there is one, and gives it a new token.
    pub(crate) fn claim(
        &self,
        pool: i64,
        commit: &str,
        policy: SlotPolicy,
        tenant: &Tenant<'_>,
        tried: &[u32],
    ) -> Result<Option<Claim>, Error> {
        let order = match policy {
            SlotPolicy::WarmFirst => "last_used ASC",
            SlotPolicy::MostRecentlyUsed => "last_used DESC",
            SlotPolicy::LowestIndex => "number ASC",
        };
        let query = format!(
            "SELECT number, state, head, refs_version FROM slot
             WHERE pool = :pool AND state IN ({}) ORDER BY (head = :commit) DESC, state = 'dirty', {order}, number",
            states(SlotState::Preparing.predecessors())
        );
        self.write(|tx| {
            let mut candidates = tx.prepare_cached(&query)?;
            let mut rows = candidates.query(named_params! {":pool": pool, ":commit": commit})?;
            while let Some(row) = rows.next()? {
                let number: u32 = row.get("number")?;
                if tried.contains(&number) {
                    continue;
                }
                let was_dirty = read_state(row)? == SlotState::Dirty;
                let (head, refs_version) = (row.get("head")?, row.get("refs_version")?);
                tx.prepare_cached(
                    "INSERT INTO lease (pool, slot, holder, owner, boot, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    pool,
                    number,
                    tenant.holder,
                    json(tenant.owner),
                    tenant.owner.boot_id,
                    tenant.expires_at.map(nanos)
                ])?;
                let token = tx.last_insert_rowid();
                // While it is prepared the slot belongs to this process, whatever becomes of the lease.
                step(tx, pool, number, SlotState::Preparing, Some(tenant.owner))?;
                tx.prepare_cached("UPDATE slot SET token = ?3 WHERE pool = ?1 AND number = ?2")?
                    .execute(params![pool, number, token])?;
                return Ok(Some(Claim { number, token: Token::new(token), head, refs_version, was_dirty }));
            }
            Ok(None)
        })
    }

    /// Hands a claimed slot out. A durable lease has no owner from here on, only an end.
    pub(crate) fn grant(
        &self,
        pool: i64,
        claim: &Claim,
        tenant: &Tenant<'_>,
        grant: &Grant<'_>,
    ) -> Result<(), Error> {
        let granted = self.write(|tx| {
            let owner = tenant.expires_at.is_none().then_some(tenant.owner);
            if !is_held(tx, pool, claim.number, claim.token)? || !step(tx, pool, claim.number, SlotState::Leased, owner)? {
                return Ok(false);
            }
            tx.prepare_cached(
                "UPDATE slot SET head = ?3, refs_version = ?4, last_used = ?5, allocations = allocations + 1
                 WHERE pool = ?1 AND number = ?2",
            )?
            .execute(params![pool, claim.number, grant.commit, grant.refs_version, claim.token.get()])?;
            tx.prepare_cached(
                "UPDATE pool SET allocations = allocations + 1, warm_hits = warm_hits + ?2, allocation_ns = allocation_ns + ?3
                 WHERE id = ?1",
            )?
            .execute(params![pool, grant.warm, nanos(grant.took)])?;
            Ok(true)
        })?;
        if granted {
            Ok(())
        } else {
            Err(Error::StaleLease { token: claim.token })
        }
    }

    /// Ends a claim that came to nothing: the slot is in error, or dirty if it is not its fault.
    pub(crate) fn abandon(
        &self,
        pool: i64,
        claim: &Claim,
        to: SlotState,
        note: &str,
    ) -> Result<(), Error> {
        self.write(|tx| {
            if is_held(tx, pool, claim.number, claim.token)?
                && step(tx, pool, claim.number, to, None)?
            {
                end_lease(tx, claim.token, "failed")?;
                set_note(tx, pool, claim.number, Some(note))?;
            }
            Ok(())
        })
    }

    pub(crate) fn allocation_failed(&self, pool: i64) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "UPDATE pool SET failures = failures + 1 WHERE id = ?1",
                [pool],
            )
            .map(drop)
        })
    }

    /// The live lease with this token.
    pub(crate) fn lease(&self, token: Token) -> Result<LeaseRow, Error> {
        self.read(|db| find_lease(db, token))?
            .map_err(|lost| lost.error(token))
    }

    /// Ends a lease and takes its slot over, for cleaning or as it is. Exactly one caller gets it.
    pub(crate) fn begin_release(
        &self,
        token: Token,
        to: SlotState,
        owner: &Owner,
    ) -> Result<LeaseRow, Error> {
        let released = self.write(|tx| {
            let lease = match find_lease(tx, token)? {
                Ok(lease) => lease,
                Err(lost) => return Ok(Err(lost)),
            };
            if !step(
                tx,
                lease.pool.id,
                lease.slot,
                to,
                to.has_owner().then_some(owner),
            )? {
                return Ok(Err(Lost::Stale));
            }
            end_lease(tx, token, "released")?;
            tx.prepare_cached("DELETE FROM lease WHERE token <= ?1 AND ended IS NOT NULL")?
                .execute([token.get() - ENDED_LEASES])?;
            Ok(Ok(lease))
        })?;
        released.map_err(|lost| lost.error(token))
    }

    /// Moves a slot's end of life on. Only a durable lease has one.
    pub(crate) fn renew(&self, token: Token, expires_at: Duration) -> Result<(), Error> {
        let renewed = self.write(|tx| {
            let found = find_lease(tx, token)?;
            if found.is_ok() {
                tx.execute(
                    "UPDATE lease SET expires_at = ?2 WHERE token = ?1 AND expires_at IS NOT NULL",
                    params![token.get(), nanos(expires_at)],
                )?;
            }
            Ok(found)
        })?;
        renewed.map(drop).map_err(|lost| lost.error(token))
    }

    /// Takes a slot in one of the fitting states over for cleaning, outside any lease.
    pub(crate) fn begin_cleaning(
        &self,
        pool: i64,
        number: u32,
        owner: &Owner,
    ) -> Result<SlotRow, Error> {
        let taken = self.write(|tx| {
            let query = "SELECT slot.*, NULL AS holder, NULL AS expires_at, NULL AS boot FROM slot WHERE pool = ?1 AND number = ?2";
            let Some(row) = tx.query_row(query, params![pool, number], read_slot).optional()? else { return Ok(None) };
            // A lease is ended by its token alone, so this is not for leased slots.
            let taken = row.state != SlotState::Leased && step(tx, pool, number, SlotState::Cleaning, Some(owner))?;
            Ok(Some((row, taken)))
        })?;
        match taken {
            None => Err(Error::SlotNotFound {
                pool: self.pool_name(pool)?,
                slot: number,
            }),
            Some((row, true)) => Ok(row),
            Some((row, false)) => Err(Error::InvalidState {
                slot: number,
                from: row.state,
                to: SlotState::Cleaning,
            }),
        }
    }

    /// Ends a cleaning: the slot is available at `head`, or in error with a note.
    pub(crate) fn cleaned(
        &self,
        pool: i64,
        number: u32,
        token: Token,
        outcome: Result<(&str, i64), &str>,
    ) -> Result<(), Error> {
        self.write(|tx| {
            if !is_held(tx, pool, number, token)? {
                return Ok(());
            }
            match outcome {
                Ok((head, refs_version)) => {
                    if step(tx, pool, number, SlotState::Available, None)? {
                        tx.prepare_cached(
                            "UPDATE slot SET head = ?3, refs_version = ?4, note = NULL WHERE pool = ?1 AND number = ?2",
                        )?
                        .execute(params![pool, number, head, refs_version])?;
                    }
                }
                Err(note) => {
                    if step(tx, pool, number, SlotState::Error, None)? {
                        set_note(tx, pool, number, Some(note))?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Makes the slots of dead owners and expired leases dirty. Runs before slots are refused, so that
    /// nothing stays lost.
    pub(crate) fn reclaim(
        &self,
        pool: i64,
        this: &Owner,
        now: Duration,
    ) -> Result<Vec<Reclaimed>, Error> {
        // Looking takes no lock; most of the time there is nothing to do.
        let lost = |slots: Vec<SlotRow>| {
            slots.into_iter().filter_map(|slot| {
                // The clock begins anew with each run of the machine, so an end of an earlier run is past.
                let expired = slot.expires_at.is_some_and(|end| now >= end)
                    || slot.boot.as_ref().is_some_and(|boot| *boot != this.boot_id);
                match &slot.owner {
                    Some(owner) => owner.is_dead(this).then_some((slot, true)),
                    None => (slot.state == SlotState::Leased && expired).then_some((slot, false)),
                }
            })
        };
        let lost: Vec<_> = lost(self.slots(pool)?).collect();
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        self.write(|tx| {
            let mut reclaimed = Vec::new();
            for (slot, orphaned) in lost {
                // Somebody else may have been quicker: only the very state that was seen is left.
                let unchanged = tx
                    .prepare_cached("SELECT state = ?4 AND token = ?3 FROM slot WHERE pool = ?1 AND number = ?2")?
                    .query_row(params![pool, slot.number, slot.token.get(), slot.state.as_str()], |row| row.get(0))?;
                if unchanged && step(tx, pool, slot.number, SlotState::Dirty, None)? {
                    end_lease(tx, slot.token, if orphaned { "orphaned" } else { "expired" })?;
                    reclaimed.push(Reclaimed { slot: slot.number, orphaned });
                }
            }
            Ok(reclaimed)
        })
    }

    fn pool_name(&self, pool: i64) -> Result<String, Error> {
        Ok(self.pool_by_id(pool)?.name)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction rolls it back, so the connection is whole.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        query(&self.connection()).map_err(|error| self.error(error))
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let mut connection = self.connection();
        let _turn = FileLock::acquire(&self.turnstile, self.timeout)?;
        let run = || {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = change(&tx)?;
            tx.commit()?;
            Ok(value)
        };
        run().map_err(|error| self.error(error))
    }

    fn error(&self, error: rusqlite::Error) -> Error {
        database_error(&self.path, error)
    }
}

/// Why a token opens nothing.
enum Lost {
    Unknown,
    Released,
    Stale,
}

impl Lost {
    fn error(self, token: Token) -> Error {
        match self {
            Self::Unknown => Error::UnknownLease { token },
            Self::Released => Error::AlreadyReleased { token },
            Self::Stale => Error::StaleLease { token },
        }
    }
}

fn find_lease(db: &Connection, token: Token) -> rusqlite::Result<Result<LeaseRow, Lost>> {
    let row = db
        .prepare_cached(
            "SELECT lease.pool, lease.slot, lease.ended, slot.state, slot.token, slot.head, slot.refs_version
             FROM lease JOIN slot ON slot.pool = lease.pool AND slot.number = lease.slot WHERE lease.token = ?1",
        )?
        .query_row([token.get()], |row| {
            let ended: Option<String> = row.get("ended")?;
            let held = row.get::<_, i64>("token")? == token.get() && read_state(row)? == SlotState::Leased;
            let lost = match ended.as_deref() {
                Some("released") => Some(Lost::Released),
                Some(_) => Some(Lost::Stale),
                None if !held => Some(Lost::Stale),
                None => None,
            };
            let found = (row.get::<_, u32>("slot")?, row.get("head")?, row.get("refs_version")?);
            Ok((row.get::<_, i64>("pool")?, found, lost))
        })
        .optional()?;
    match row {
        None => Ok(Err(Lost::Unknown)),
        Some((_, _, Some(lost))) => Ok(Err(lost)),
        Some((pool, (slot, head, refs_version), None)) => {
            let pool = db
                .prepare_cached("SELECT * FROM pool WHERE id = ?1")?
                .query_row([pool], read_pool)?;
            Ok(Ok(LeaseRow {
                pool,
                slot,
                head,
                refs_version,
            }))
        }
    }
}

/// One transition of the state machine. False if the slot is in no state from which it is allowed.
fn step(
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

fn is_held(tx: &Transaction<'_>, pool: i64, number: u32, token: Token) -> rusqlite::Result<bool> {
    let mut query =
        tx.prepare_cached("SELECT 1 FROM slot WHERE pool = ?1 AND number = ?2 AND token = ?3")?;
    query.exists(params![pool, number, token.get()])
}

fn end_lease(tx: &Transaction<'_>, token: Token, how: &str) -> rusqlite::Result<()> {
    let mut update =
        tx.prepare_cached("UPDATE lease SET ended = ?2 WHERE token = ?1 AND ended IS NULL")?;
    update.execute(params![token.get(), how]).map(drop)
}

fn set_note(
    tx: &Transaction<'_>,
    pool: i64,
    number: u32,
    note: Option<&str>,
) -> rusqlite::Result<()> {
    let update = "UPDATE slot SET note = ?3 WHERE pool = ?1 AND number = ?2";
    tx.execute(update, params![pool, number, note]).map(drop)
}

fn states(states: impl Iterator<Item = SlotState>) -> String {
    states
        .map(|state| format!("'{state}'"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn read_pool(row: &Row<'_>) -> rusqlite::Result<PoolRow> {
    Ok(PoolRow {
        id: row.get("id")?,
        name: row.get("name")?,
        url: row.get("url")?,
        branch: row.get("branch")?,
        fetched_boot: row.get("fetched_boot")?,
        fetched_at: duration(row.get("fetched_at")?),
        refs_version: row.get("refs_version")?,
        allocations: read_count(row, "allocations")?,
        warm_hits: read_count(row, "warm_hits")?,
        failures: read_count(row, "failures")?,
        allocation_time: duration(row.get("allocation_ns")?),
    })
}

fn read_slot(row: &Row<'_>) -> rusqlite::Result<SlotRow> {
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

fn read_count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

fn read_state(row: &Row<'_>) -> rusqlite::Result<SlotState> {
    let column = row.as_ref().column_index("state")?;
    row.get_ref(column)?
        .as_str()?
        .parse()
        .map_err(|error| unreadable(column, error))
}

fn read_owner(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Owner>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| unreadable(column, error)))
        .transpose()
}

fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

fn json(owner: &Owner) -> String {
    serde_json::to_string(owner).expect("an owner is a map of strings and numbers")
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.unsigned_abs())
}

fn database_error(path: &Path, error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, NotADatabase};
    let reason = match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => {
            "it is damaged; move it away together with the folder \"pools\" and create the pools anew, nothing is lost \
             but what tenants left in slots"
        }
        Some(DatabaseBusy) => "another program holds it",
        _ => "SQLite refused",
    };
    Error::Database {
        path: path.to_owned(),
        reason: reason.to_owned(),
        source: Some(DatabaseError(error)),
    }
}
