//! What a pool says about those who hold its resources.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{AcquireError, Timeout};
use crate::event::Event;
use crate::manager::Manager;
use crate::places::record::Record;
use crate::primitive::lock;
use crate::reports::holders::{Holder, Site, SiteHolders};
use crate::shared::Shared;

/// How many sites a timeout names.
const NAMED_SITES: usize = 5;

impl<M: Manager> Shared<M> {
    pub(crate) fn holders(&self) -> Vec<Holder> {
        let now = self.time.coarse();
        let records = self.idle.records();
        let mut holders: Vec<_> = records
            .filter_map(|(number, record)| self.holder(number, record, record.held_since()?, now))
            .collect();
        holders.sort_by_key(|it| std::cmp::Reverse(it.held_for));
        holders
    }

    /// Who holds what is at a place since then. No foreign code runs here.
    pub(crate) fn holder(
        &self,
        number: usize,
        record: &Record,
        since: u64,
        now: u64,
    ) -> Option<Holder> {
        let mut holder = Holder::since(&self.rules.name, number, record, since, now)?;
        holder.resource = std::any::type_name::<M::Resource>();
        holder.label = self
            .labels
            .of(number, record.uses())
            .as_deref()
            .map(str::to_owned);
        Some(holder)
    }

    pub(crate) fn timeout(
        &self,
        site: &'static Location<'static>,
        waited: Duration,
    ) -> AcquireError<M::Error> {
        let mut holders = SiteHolders::group(self.holders());
        holders.truncate(NAMED_SITES);
        let report = {
            let mut core = lock(&self.core);
            core.counts.timeouts += 1;
            Timeout {
                pool: Arc::clone(&self.rules.name),
                waited,
                max: core.max,
                in_use: core.in_use(&self.idle),
                creating: core.creating,
                waiting: core.line.waiting(),
                holders,
                last_error: core.last_error.clone(),
            }
        };
        self.hooks.tell(&Event::TimedOut {
            site: Site::of(site),
            waited,
        });
        AcquireError::Timeout(Box::new(report))
    }
}
