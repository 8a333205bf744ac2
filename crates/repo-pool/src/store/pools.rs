//! Pools: entering, opening, listing, fetching.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::Store;
use super::rows::{PoolRow, SlotRow, json, nanos, read_owner, read_pool, read_slot};
use crate::error::Error;
use crate::owner::Owner;
use crate::state::SlotState;

impl Store {
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
                    "INSERT INTO slot (pool, number, state, head, owner) VALUES (?1, ?2, ?3, '', ?4)",
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
                "UPDATE slot SET state = ?1, head = ?2, owner = NULL
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

    /// Takes out the pools whose creator died before they were ready, each after `discard` has moved its
    /// folder away. Nobody can enter a pool of that name meanwhile.
    pub(crate) fn remove_unfinished_pools(
        &self,
        this: &Owner,
        discard: impl Fn(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.read(|db| db.prepare("SELECT 1 FROM pool WHERE NOT ready")?.exists([]))? {
            return self.write(|tx| {
                let mut query = tx.prepare("SELECT id, name, owner FROM pool WHERE NOT ready")?;
                let rows = query.query_map([], |row| {
                    Ok((row.get(0)?, row.get(1)?, read_owner(row, 2)?))
                })?;
                for row in rows.collect::<rusqlite::Result<Vec<(i64, String, Option<Owner>)>>>()? {
                    let (id, name, owner) = row;
                    // A folder that cannot be moved now is tried again by the next process.
                    if owner.is_none_or(|owner| owner.is_dead(this)) && discard(&name).is_ok() {
                        tx.execute("DELETE FROM pool WHERE id = ?1", [id])?;
                    }
                }
                Ok(())
            });
        }
        Ok(())
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
    pub(crate) fn fetched(&self, pool: i64, boot: &str, started: Duration) -> Result<(), Error> {
        self.write(|tx| {
            tx.execute(
                "UPDATE pool SET fetched_boot = ?2, fetched_at = ?3 WHERE id = ?1",
                params![pool, boot, nanos(started)],
            )
            .map(drop)
        })
    }
}
