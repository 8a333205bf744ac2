//! What a pool looks like to those who ask.

use std::time::Duration;

use super::RepoPool;
use crate::error::Error;
use crate::git::redacted;
use crate::state::SlotState;
use crate::status::{LeaseStatus, PoolStatus, PoolSummary, SlotStatus};
use crate::store::{PoolRow, SlotRow};

impl RepoPool {
    pub(super) fn describe(&self, pool: PoolRow) -> Result<PoolStatus, Error> {
        let mut summary = PoolSummary {
            allocations: pool.allocations,
            warm_hits: pool.warm_hits,
            failures: pool.failures,
            mean_allocation_time: pool.allocation_time
                / u32::try_from(pool.allocations.max(1)).unwrap_or(u32::MAX),
            ..PoolSummary::default()
        };
        let now = self.now();
        let rows = self.store().slots(pool.id)?;
        let slots = rows.into_iter().map(|row| {
            summary.total += 1;
            *match row.state {
                SlotState::Available | SlotState::Dirty => &mut summary.available,
                SlotState::Leased => &mut summary.leased,
                SlotState::Error => &mut summary.error,
                SlotState::Creating | SlotState::Preparing | SlotState::Cleaning => {
                    &mut summary.busy
                }
            } += 1;
            self.describe_slot(&pool, row, now)
        });
        let slots = slots.collect();
        Ok(PoolStatus {
            name: pool.name.clone(),
            url: redacted(&pool.url),
            branch: pool.branch.clone(),
            slots,
            summary,
        })
    }

    fn describe_slot(&self, pool: &PoolRow, row: SlotRow, now: Duration) -> SlotStatus {
        let SlotRow {
            number,
            state,
            head,
            token,
            allocations,
            note,
            holder,
            owner,
            expires_at,
            ..
        } = row;
        let expires_in = expires_at.map(|end| end.saturating_sub(now));
        let lease = holder.map(|holder| LeaseStatus {
            token,
            holder,
            owner,
            expires_in,
        });
        SlotStatus {
            id: format!("workspace-{}-slot{number}", pool.name),
            number,
            state,
            path: self.slot(pool, number).tree,
            commit: head,
            lease,
            allocations,
            note,
        }
    }
}
