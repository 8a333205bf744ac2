//! Leases: claiming a slot, granting it, ending it, and finding those whose tenant is gone.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::Store;
use super::rows::{
    Claim, Grant, LeaseRow, Orphan, SlotRow, Tenant, json, nanos, read_pool, read_state,
};
use super::step::{end_lease, is_held, set_note, states, step};
use crate::config::SlotPolicy;
use crate::error::Error;
use crate::lease::Token;
use crate::owner::Owner;
use crate::state::SlotState;

/// Ended leases that are remembered, so that a second release is told apart from a forged token.
const ENDED_LEASES: i64 = 10_000;

impl Store {
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
            "SELECT number, state, head, orphaned FROM slot
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
                let (head, was_orphaned) = (row.get("head")?, row.get("orphaned")?);
                tx.prepare_cached(
                    "INSERT INTO lease (pool, slot, holder, owner, boot) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    pool,
                    number,
                    tenant.holder,
                    json(tenant.owner),
                    tenant.owner.boot_id
                ])?;
                let token = tx.last_insert_rowid();
                // While it is prepared the slot belongs to this process, whatever becomes of the lease.
                step(tx, pool, number, SlotState::Preparing, Some(tenant.owner))?;
                tx.prepare_cached("UPDATE slot SET token = ?3 WHERE pool = ?1 AND number = ?2")?
                    .execute(params![pool, number, token])?;
                return Ok(Some(Claim { number, token: Token::new(token), head, was_dirty, was_orphaned }));
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
            let owner = (!tenant.durable).then_some(tenant.owner);
            if !is_held(tx, pool, claim.number, claim.token)? || !step(tx, pool, claim.number, SlotState::Leased, owner)? {
                return Ok(false);
            }
            tx.prepare_cached(
                "UPDATE slot SET head = ?3, last_used = ?4, orphaned = FALSE, note = NULL, allocations = allocations + 1
                 WHERE pool = ?1 AND number = ?2",
            )?
            .execute(params![pool, claim.number, grant.commit, claim.token.get()])?;
            // The end is counted from here: a tenant that waited long is not cut short for it.
            tx.prepare_cached("UPDATE lease SET expires_at = ?2 WHERE token = ?1")?
                .execute(params![claim.token.get(), grant.expires_at.map(nanos)])?;
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

    /// Gives up on a slot that this process was preparing or cleaning: it is dirty, in nobody's hands.
    pub(crate) fn give_up(&self, pool: i64, number: u32, token: Token) -> Result<(), Error> {
        self.write(|tx| {
            let mut query = tx.prepare_cached(
                "SELECT 1 FROM slot WHERE pool = ?1 AND number = ?2 AND token = ?3 AND state IN ('preparing', 'cleaning')",
            )?;
            if query.exists(params![pool, number, token.get()])? {
                step(tx, pool, number, SlotState::Dirty, None)?;
                end_lease(tx, token, "failed")?;
            }
            Ok(())
        })
    }

    /// Ends the leases of tenants that are gone. A slot whose lease is past its end is dirty then. One
    /// whose owner died is in the hands of this process, and so in nobody else's, until
    /// [`Store::give_up`]: what the owner left running may still be at work there.
    ///
    /// Returns the number of the former, and the latter. Runs before slots are refused, so that
    /// nothing stays lost.
    pub(crate) fn reclaim(
        &self,
        pool: i64,
        this: &Owner,
        now: Duration,
    ) -> Result<(usize, Vec<Orphan>), Error> {
        // Looking takes no lock; most of the time there is nothing to do.
        let is_lost = |slot: &SlotRow| {
            // The clock begins anew with each run of the machine, so an end of an earlier run is past.
            let expired = slot.expires_at.is_some_and(|end| now >= end)
                || slot.boot.as_ref().is_some_and(|boot| *boot != this.boot_id);
            match &slot.owner {
                Some(owner) => owner.is_dead(this),
                None => slot.state == SlotState::Leased && expired,
            }
        };
        let mut lost = self.slots(pool)?;
        lost.retain(is_lost);
        let (mut expired, mut orphans) = (0, Vec::new());
        if lost.is_empty() {
            return Ok((expired, orphans));
        }
        self.write(|tx| {
            for slot in lost {
                // Somebody else may have been quicker: only what is still as it was seen is taken.
                let mut query = tx.prepare_cached(
                    "SELECT 1 FROM slot WHERE pool = ?1 AND number = ?2 AND token = ?3 AND state = ?4 AND owner IS ?5",
                )?;
                let owner = slot.owner.as_ref().map(json);
                let seen = params![pool, slot.number, slot.token.get(), slot.state.as_str(), owner];
                if !query.exists(seen)? {
                    continue;
                }
                let presence = slot.owner.map(|owner| owner.presence);
                let died = presence.is_some();
                let (to, how) = if died { (SlotState::Cleaning, "orphaned") } else { (SlotState::Dirty, "expired") };
                if !step(tx, pool, slot.number, to, died.then_some(this))? {
                    continue;
                }
                end_lease(tx, slot.token, how)?;
                tx.prepare_cached("UPDATE slot SET orphaned = ?3 WHERE pool = ?1 AND number = ?2")?
                    .execute(params![pool, slot.number, died])?;
                match presence {
                    Some(presence) => orphans.push(Orphan { slot: slot.number, token: slot.token, presence }),
                    None => expired += 1,
                }
            }
            Ok(())
        })?;
        Ok((expired, orphans))
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
            "SELECT lease.pool, lease.slot, lease.ended, slot.state, slot.token, slot.head
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
            let found = (row.get::<_, u32>("slot")?, row.get("head")?);
            Ok((row.get::<_, i64>("pool")?, found, lost))
        })
        .optional()?;
    match row {
        None => Ok(Err(Lost::Unknown)),
        Some((_, _, Some(lost))) => Ok(Err(lost)),
        Some((pool, (slot, head), None)) => {
            let pool = db
                .prepare_cached("SELECT * FROM pool WHERE id = ?1")?
                .query_row([pool], read_pool)?;
            Ok(Ok(LeaseRow { pool, slot, head }))
        }
    }
}
