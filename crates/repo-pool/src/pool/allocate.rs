//! Allocating: which commit is meant, which slot is taken, and what brings it there.

use std::time::Instant;

use super::operation::Operation;
use super::{RepoPool, chain, unknown_ref};
use crate::bell::LOOK_FOR_DEAD_OWNERS;
use crate::config::{Freshness, Request};
use crate::error::Error;
use crate::git::{GitError, is_object_id};
use crate::lease::Lease;
use crate::owner::kill_processes_in;
use crate::process::Cancel;
use crate::slot::Slot;
use crate::state::SlotState;
use crate::status::PoolSummary;
use crate::store::{Claim, Grant, PoolRow, Tenant};

/// Why a claimed slot could not be handed out.
enum Unprepared {
    /// It is the slot's fault: nobody can have it.
    Slot(Error),
    /// It is the request's: somebody else may well have the slot.
    Request(Error),
}

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
            durable: request.ttl.is_some(),
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
                let operation = Operation::new(self, &pool, claim.number, claim.token);
                match self.prepare(&pool, &claim, &commit, request.cancel.as_ref()) {
                    Ok((slot, warm)) => {
                        let expires_at = request.ttl.map(|ttl| self.now().saturating_add(ttl));
                        let grant = Grant {
                            commit: &commit,
                            warm,
                            took: started.elapsed(),
                            expires_at,
                        };
                        self.store().grant(pool.id, &claim, &tenant, &grant)?;
                        operation.done();
                        return Ok(Lease::new(self.clone(), claim.token, slot, commit, warm));
                    }
                    // The operation ends, and with it makes the slot dirty.
                    Err(Unprepared::Request(error)) => return Err(error),
                    Err(Unprepared::Slot(error)) => {
                        self.store()
                            .abandon(pool.id, &claim, SlotState::Error, &chain(&error))?;
                        operation.done();
                        tried.push(claim.number);
                        failure = Some(error);
                    }
                }
            }
            if self.reclaim_from(&pool)? > 0 {
                continue;
            }
            let now = Instant::now();
            let all_failed = tried.len() >= self.store().slots(pool.id)?.len();
            if let Some(error) = failure.take_if(|_| all_failed) {
                return Err(error);
            }
            if request.is_cancelled() || deadline.is_some_and(|deadline| now >= deadline) {
                return Err(self.no_slot(&pool)?);
            }
            let Some(listening) = &mut listener else {
                // A slot that became free before we listened is found by looking once more.
                let bell = self.bell(&pool);
                listener = Some(
                    bell.listen()
                        .map_err(Error::io("listen to", self.folder(&pool.name)))?,
                );
                continue;
            };
            let look_again = now + LOOK_FOR_DEAD_OWNERS;
            let until = deadline.map_or(look_again, |deadline| deadline.min(look_again));
            let heard = listening.wait(until, request.cancel.as_ref());
            heard.map_err(Error::io("listen to", self.folder(&pool.name)))?;
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
            pool = self.fetch_since(pool, since, request.cancel.as_ref())?;
            known = resolve(&pool)?;
        }
        let commit = known.ok_or_else(|| unknown_ref(&pool, &revision))?;
        Ok((pool, commit))
    }

    /// Makes a claimed slot clean and brings it to the commit. True if it was there already.
    fn prepare(
        &self,
        pool: &PoolRow,
        claim: &Claim,
        commit: &str,
        cancel: Option<&Cancel>,
    ) -> Result<(Slot, bool), Unprepared> {
        let slot = self.slot(pool, claim.number);
        let fallback = if claim.head.is_empty() {
            commit
        } else {
            &claim.head
        };
        // What is on the disk is what the seal says. The database may be behind it: whoever prepared
        // the slot last may have died between the two.
        let clean = || match claim {
            Claim {
                was_dirty: false,
                head,
                ..
            } if slot.is_sealed_at(head) => Ok(head.clone()),
            Claim {
                was_orphaned: true, ..
            } => self.clean_orphaned(&slot, fallback),
            _ => slot.clean(fallback),
        };
        let at = clean().and_then(|at| {
            if !slot.has_current_refs()? {
                slot.refresh_refs()?;
            }
            Ok(at)
        });
        let at = at.map_err(|error| match error {
            // Without git no slot can be put right, and none is to blame for that.
            Error::Git(GitError::NotFound) => Unprepared::Request(error),
            error => Unprepared::Slot(error),
        })?;
        if at == commit {
            return Ok((slot, true));
        }
        let switched = slot.clone().cancelled_by(cancel).switch(&at, commit);
        switched.map_err(|error| match slot.clean(&at) {
            Ok(_) => Unprepared::Request(error),
            Err(_) if matches!(error, Error::Git(GitError::NotFound)) => Unprepared::Request(error),
            Err(_) => Unprepared::Slot(error),
        })?;
        Ok((slot, false))
    }

    /// Cleans a slot until nothing of its dead owner is found at work in it any more.
    fn clean_orphaned(&self, slot: &Slot, fallback: &str) -> Result<String, Error> {
        /// Something that keeps coming back is no left-over.
        const ATTEMPTS: usize = 10;
        for _ in 0..ATTEMPTS {
            let at = slot.clean(fallback)?;
            if kill_processes_in(&slot.tree) == 0 {
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
