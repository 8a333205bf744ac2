//! Who is left out because it failed, for how long, and how it comes back.
//!
//! | standing | listed | becomes |
//! |---|---|---|
//! | healthy | yes | out, after so many failures in a row, unless too many are out |
//! | out | no | due for trial, when its time is over |
//! | due for trial | yes | being tried, when it is picked |
//! | being tried | no | healthy by a success, out by a failure, due for trial by silence |
//!
//! Only the lease of the trial decides it: what was begun before is late news.

use std::hash::Hash;

use brolly_sync::NEVER;

use crate::router::config::Eject;
use crate::router::state::{Standing, State};

/// What is said about a target when its lease ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Silence,
    Success,
    Failure,
}

impl<K: Eq + Hash, T> State<K, T> {
    /// Whether a pick depends on what time it is.
    #[inline]
    pub(super) fn needs_the_time(&self) -> bool {
        self.trials > 0 || self.next_return != NEVER
    }

    /// Lets come back for their trial whose time is over.
    pub(super) fn recall(&mut self, now: u64) {
        if now < self.next_return {
            return;
        }
        let mut at = 0;
        while let Some(slot) = self.out.get(at).copied() {
            match self.records[slot as usize].standing {
                Standing::Out(until) | Standing::Tried(until) if until <= now => {
                    self.records[slot as usize].standing = Standing::Trial;
                    if self.is_listed(slot) {
                        self.list(slot);
                    }
                    self.out.swap_remove(at);
                }
                _ => at += 1,
            }
        }
        self.look_for_next_return();
    }

    /// Judges a target by what is said about it.
    pub(super) fn judge(&mut self, slot: u32, is_trial: bool, verdict: Verdict, now: u64) {
        let record = &mut self.records[slot as usize];
        record.failures += u64::from(verdict == Verdict::Failure);
        match (verdict, record.standing) {
            (Verdict::Success, Standing::Healthy) => record.failures_in_row = 0,
            (Verdict::Failure, Standing::Healthy) => {
                record.failures_in_row = record.failures_in_row.saturating_add(1);
                self.eject_if_due(slot, now);
            }
            (Verdict::Success, Standing::Tried(_) | Standing::Trial) if is_trial => {
                self.acquit(slot, Standing::Healthy);
            }
            (Verdict::Failure, Standing::Tried(_) | Standing::Trial) if is_trial => {
                if let Some(eject) = self.rules.ejection.clone() {
                    self.eject(slot, &eject, now);
                }
            }
            (Verdict::Silence, Standing::Tried(_)) if is_trial => {
                self.acquit(slot, Standing::Trial);
            }
            _ => {}
        }
    }

    /// Makes a trial of a pick, if it is one.
    pub(super) fn begin_trial(&mut self, slot: u32, now: u64) -> bool {
        if self.records[slot as usize].standing != Standing::Trial {
            return false;
        }
        self.unlist(slot);
        // Whoever tries it may forget to say so. Nobody waits longer for that than for a failure.
        let patience = self.rules.ejection.as_ref().map_or(NEVER, |it| it.longest);
        let until = now.saturating_add(patience).min(NEVER - 1);
        self.records[slot as usize].standing = Standing::Tried(until);
        self.leave_out(slot, until);
        true
    }

    /// Ends a trial.
    fn acquit(&mut self, slot: u32, standing: Standing) {
        let record = &mut self.records[slot as usize];
        let before = std::mem::replace(&mut record.standing, standing);
        if standing == Standing::Healthy {
            record.failures_in_row = 0;
            record.ejections_in_row = 0;
        }
        if before == Standing::Trial {
            // It is listed already, unless it is suspended.
            self.trials -= usize::from(self.is_listed(slot));
            return;
        }
        self.out.retain(|it| *it != slot);
        self.look_for_next_return();
        if self.is_listed(slot) {
            self.list(slot);
        }
    }

    fn eject_if_due(&mut self, slot: u32, now: u64) {
        let Some(eject) = &self.rules.ejection else {
            return;
        };
        let allowed = (eject.max_share * self.known as f64) as usize;
        let is_due = self.records[slot as usize].failures_in_row >= eject.failures;
        let others = self.index.len() - self.trials - usize::from(self.is_listed(slot));
        let may_be_last = eject.max_share >= 1.0;
        if is_due && self.out.len() + self.trials < allowed && (others > 0 || may_be_last) {
            let eject = eject.clone();
            self.eject(slot, &eject, now);
        }
    }

    fn eject(&mut self, slot: u32, eject: &Eject, now: u64) {
        if self.is_listed(slot) {
            self.unlist(slot);
        }
        self.out.retain(|it| *it != slot);
        let record = &mut self.records[slot as usize];
        let doublings = record.ejections_in_row.min(63);
        let time = eject
            .first
            .saturating_mul(1 << doublings)
            .min(eject.longest);
        let until = now.saturating_add(time).min(NEVER - 1);
        record.standing = Standing::Out(until);
        record.failures_in_row = 0;
        record.ejections_in_row = record.ejections_in_row.saturating_add(1);
        record.ejections += 1;
        self.ejections += 1;
        self.look_for_next_return();
        self.leave_out(slot, until);
    }

    fn leave_out(&mut self, slot: u32, until: u64) {
        self.out.push(slot);
        self.next_return = self.next_return.min(until);
    }

    pub(super) fn look_for_next_return(&mut self) {
        let ends = self
            .out
            .iter()
            .map(|it| match self.records[*it as usize].standing {
                Standing::Out(until) | Standing::Tried(until) => until,
                Standing::Healthy | Standing::Trial => NEVER,
            });
        self.next_return = ends.min().unwrap_or(NEVER);
    }
}
