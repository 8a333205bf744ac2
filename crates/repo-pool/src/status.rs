//! What a pool looks like at one moment, as plain data.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lease::Token;
use crate::owner::Owner;
use crate::state::SlotState;

/// A pool and its slots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The pool's name.
    pub name: String,
    /// The remote, credentials removed.
    pub url: String,
    /// The branch that requests without a ref get.
    pub branch: String,
    /// The slots by number.
    pub slots: Vec<SlotStatus>,
    /// How many slots are in which state.
    pub summary: PoolSummary,
}

/// The counts of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PoolSummary {
    /// All slots: the sum of the following four.
    pub total: u32,
    /// Slots that can be given out at once, dirty ones included.
    pub available: u32,
    /// Slots in the hands of tenants.
    pub leased: u32,
    /// Slots that are being created, prepared or cleaned.
    pub busy: u32,
    /// Slots that wait for a recovery.
    pub error: u32,
    /// Leases granted since the pool was created.
    pub allocations: u64,
    /// Leases whose slot was at the wanted commit already.
    pub warm_hits: u64,
    /// Allocations that ended in an error.
    pub failures: u64,
    /// Mean time from request to lease, waiting included; zero without any allocation.
    pub mean_allocation_time: Duration,
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SlotStatus {
    /// A name for people and logs, `workspace-<pool>-slot<number>`. Nothing reads it back.
    pub id: String,
    /// The slot's number, from 1.
    pub number: u32,
    /// What it is doing.
    pub state: SlotState,
    /// Its working copy.
    pub path: PathBuf,
    /// The commit it was last prepared at; empty before that.
    pub commit: String,
    /// The lease it is in, if it is in one.
    pub lease: Option<LeaseStatus>,
    /// How often it was given out.
    pub allocations: u64,
    /// Why it is in error, if it is.
    pub note: Option<String>,
}

/// A lease as everybody may see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeaseStatus {
    /// The fencing token.
    pub token: Token,
    /// The label that the tenant gave.
    pub holder: String,
    /// The process the lease belongs to; none for a durable lease.
    pub owner: Option<Owner>,
    /// How long a durable lease has left; none for a process lease.
    pub expires_in: Option<Duration>,
}
