//! Allocating: which commit is meant, which slot is taken, and what brings it there.

use std::time::Instant;

use super::{RepoPool, chain, unknown_ref};
use crate::bell::LOOK_FOR_DEAD_OWNERS;
use crate::config::{Freshness, Request};
use crate::error::Error;
use crate::git::is_object_id;
use crate::lease::Lease;
use crate::slot::Slot;
use crate::state::SlotState;
use crate::status::PoolSummary;
use crate::store::{Claim, Grant, PoolRow, Tenant};

impl RepoPool {
    pub(super) fn allocate_from(
        &self,
        mut pool: PoolRow,
        request: &Request,
        started: Instant,
    ) -> Result<Lease, Error> {
        let commit;
        (pool, commit) = self.wanted(pool, request)?;
        let tenant = Tenant {
            holder: &request.holder,
            owner: &self.inner.owner,
            expires_at: request.ttl.map(|ttl| self.now().saturating_add(ttl)),
        };
        let deadline = started.checked_add(request.wait);
        let mut listener = None;
        let mut tried = Vec::new();
        let mut failure = None;
        loop {
            while let Some(claim) =
                self.store()
                    .claim(pool.id, &commit, request.policy, &tenant, &tried)?
            {
                match self.prepare(&pool, &claim, &commit) {
                    Ok((slot, warm)) => {
                        let (refs_version, took) = (pool.refs_version, started.elapsed());
                        let grant = Grant {
                            commit: &commit,
                            refs_version,
                            warm,
                            took,
                        };
                        self.store().grant(pool.id, &claim, &tenant, &grant)?;
                        return Ok(Lease::new(self.clone(), claim.token, slot, commit, warm));
                    }
                    Err(error) => {
                        self.store()
                            .abandon(pool.id, &claim, SlotState::Error, &chain(&error))?;
                        tried.push(claim.number);
                        failure = Some(error);
                    }
                }
            }
            if self.reclaim_from(&pool)? > 0 {
                continue;
            }
            let now = Instant::now();
            let time_is_up = deadline.is_some_and(|deadline| now >= deadline);
            let cancelled = request
                .cancel
                .as_ref()
                .is_some_and(|cancel| cancel.is_cancelled());
            if let (true, Some(error)) = (
                tried.len() >= self.store().slots(pool.id)?.len(),
                failure.take(),
            ) {
                return Err(error);
            }
            if time_is_up || cancelled {
                return Err(self.no_slot(&pool)?);
            }
            let Some(listening) = &mut listener else {
                // A slot that became free before we listened is found by looking once more.
                listener = Some(
                    self.bell(&pool)
                        .listen()
                        .map_err(Error::io("listen to", self.folder(&pool.name)))?,
                );
                continue;
            };
            let look_again = now + LOOK_FOR_DEAD_OWNERS;
            let until = deadline.map_or(look_again, |deadline| deadline.min(look_again));
            listening
                .wait(until, request.cancel.as_ref())
                .map_err(Error::io("listen to", self.folder(&pool.name)))?;
        }
    }

    /// The commit a request means, asking the remote first where the request wants that.
    fn wanted(&self, mut pool: PoolRow, request: &Request) -> Result<(PoolRow, String), Error> {
        let revision = request
            .revision
            .clone()
            .unwrap_or_else(|| pool.branch.clone());
        let now = self.now();
        let resolve = |pool: &PoolRow| -> Result<Option<String>, Error> {
            // A commit that a slot is at is here; that saves a process on the most frequent path.
            if is_object_id(&revision)
                && self
                    .store()
                    .slots(pool.id)?
                    .iter()
                    .any(|slot| slot.head == revision)
            {
                return Ok(Some(revision.clone()));
            }
            self.mirror(pool).resolve(&revision, &pool.branch)
        };
        let mut known = None;
        if is_object_id(&revision) || request.freshness == Freshness::Cached {
            known = resolve(&pool)?;
        }
        if known.is_none() {
            let since = match request.freshness {
                Freshness::Within(age) => now.saturating_sub(age),
                Freshness::Current | Freshness::Cached => now,
            };
            pool = self.fetch_since(pool, since)?;
            known = resolve(&pool)?;
        }
        let commit = known.ok_or_else(|| unknown_ref(&pool, &revision))?;
        Ok((pool, commit))
    }

    /// Makes a claimed slot clean and brings it to the commit. True if it was there already.
    fn prepare(&self, pool: &PoolRow, claim: &Claim, commit: &str) -> Result<(Slot, bool), Error> {
        let slot = self.slot(pool, claim.number);
        // What is on the disk is what the seal says. The database may be behind it: whoever prepared
        // the slot last may have died between the two.
        let at = if !claim.was_dirty && slot.is_sealed_at(&claim.head) {
            claim.head.clone()
        } else if claim.was_orphaned {
            self.clean_orphaned(&slot, commit)?
        } else {
            slot.clean(commit)?
        };
        let warm = at == commit;
        if claim.refs_version != pool.refs_version {
            slot.refresh_refs(&at)?;
        }
        if !warm {
            slot.switch(commit)?;
        }
        Ok((slot, warm))
    }

    /// Cleans a slot until nothing of its dead owner is found at work in it any more.
    fn clean_orphaned(&self, slot: &Slot, commit: &str) -> Result<String, Error> {
        /// Something that keeps coming back is no left-over.
        const ATTEMPTS: usize = 10;
        for _ in 0..ATTEMPTS {
            let at = slot.clean(commit)?;
            if self.kill_left_overs(slot) == 0 {
                return Ok(at);
            }
        }
        let source = std::io::Error::other("programs of a tenant that is gone keep working in it");
        Err(Error::io("clean", &slot.tree)(source))
    }

    fn no_slot(&self, pool: &PoolRow) -> Result<Error, Error> {
        let PoolSummary {
            leased,
            busy,
            error,
            ..
        } = self.describe(pool.clone())?.summary;
        Ok(Error::NoAvailableSlot {
            pool: pool.name.clone(),
            leased,
            busy,
            failed: error,
        })
    }
}
