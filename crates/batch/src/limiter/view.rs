//! [`View`]: what a limiter is within, from itself out to the pool at the root.

use std::sync::Arc;

use super::held::Held;
use super::loan::Loan;
use crate::error::ConfigError;
use crate::worker_pool::WorkerPool;

#[derive(Clone)]
pub(super) enum View {
    Root(WorkerPool),
    Narrowed(Arc<Narrowed>),
    Nested(Arc<Nested>),
}

/// A bound of its own within an outer one.
///
/// Two counts instead of one keep it free of deadlocks. An item passes the gate before it waits
/// outside, so that no more than the bound wait there; and it is counted as running only when it
/// has everything else. So whoever is counted needs nothing more, and an item on a loan, which has
/// no need to wait outside, need not pass the gate behind those that do.
pub(super) struct Narrowed {
    pub(super) gate: WorkerPool,
    pub(super) running: WorkerPool,
    pub(super) outer: View,
}

/// The view from an item that holds a permit.
pub(super) struct Nested {
    pub(super) loan: Arc<Loan>,
    pub(super) outer: View,
    /// Bounds that hold here and that the permit was not counted in: who takes the loan is
    /// counted there. The outermost first, in which order those count who come from outside.
    pub(super) also: Vec<WorkerPool>,
}

impl View {
    pub(super) fn narrowed(outer: &Self, max: usize) -> Result<Self, ConfigError> {
        Ok(Self::Narrowed(Arc::new(Narrowed {
            gate: WorkerPool::new(max)?,
            running: WorkerPool::new(max)?,
            outer: outer.clone(),
        })))
    }

    /// The view `of` a limiter from an item whose permit came from `origin` and lends `loan`.
    pub(super) fn nested(of: &Self, origin: &Self, loan: Arc<Loan>) -> Self {
        if let Self::Nested(nested) = of
            && Arc::ptr_eq(&nested.loan, &loan)
        {
            return of.clone(); // it was already taken from here
        }
        let pruned = of.pruned();
        let of = pruned.as_ref().unwrap_or(of);
        let mut also = Vec::new();
        let mut around = Some(of);
        while let Some(view) = around {
            if origin.is_within(view) {
                break;
            }
            if let Self::Narrowed(narrowed) = view {
                also.push(narrowed.running.clone());
            }
            around = view.outer();
        }
        also.reverse();
        // Within its own limiter an item that needs no further count sees what its permit sees.
        let outer = if origin.is_within(of) { origin } else { of };
        Self::Nested(Arc::new(Nested {
            loan,
            outer: outer.clone(),
            also,
        }))
    }

    pub(super) fn root(&self) -> &WorkerPool {
        let mut view = self;
        loop {
            match view {
                Self::Root(pool) => return pool,
                Self::Narrowed(narrowed) => view = &narrowed.outer,
                Self::Nested(nested) => view = &nested.outer,
            }
        }
    }

    pub(super) fn bound(&self) -> usize {
        let mut bound = usize::MAX;
        let mut around = Some(self);
        while let Some(view) = around {
            match view {
                Self::Root(pool) => bound = bound.min(pool.max()),
                Self::Narrowed(narrowed) => bound = bound.min(narrowed.running.max()),
                Self::Nested(_) => {}
            }
            around = view.outer();
        }
        bound
    }

    #[inline]
    pub(super) fn try_hold(&self) -> Option<Held> {
        match self {
            Self::Root(pool) => pool.try_acquire().map(Held::Root),
            Self::Narrowed(narrowed) => {
                let gate = narrowed.gate.try_acquire()?;
                let outer = narrowed.outer.try_hold()?;
                let running = narrowed.running.try_acquire()?;
                Some(Held::narrowed(running, outer, gate))
            }
            Self::Nested(nested) => nested.try_lend().or_else(|| nested.outer.try_hold()),
        }
    }

    /// What a permit has to remember of the view it came through.
    pub(super) fn to_remember(&self) -> Option<Self> {
        match self.pruned() {
            None => self.unless_root(),
            Some(view) => view.unless_root(),
        }
    }

    fn unless_root(&self) -> Option<Self> {
        match self {
            Self::Root(_) => None,
            Self::Narrowed(_) | Self::Nested(_) => Some(self.clone()),
        }
    }

    /// This view without items that have ended; `None` if there are none in it. Nobody can run on
    /// their permits any more, and where items hand on to successors there would be ever more.
    fn pruned(&self) -> Option<Self> {
        if !self.items().any(|nested| nested.loan.has_ended()) {
            return None;
        }
        let living: Vec<_> = self
            .items()
            .filter(|nested| !nested.loan.has_ended())
            .collect();
        let around = self.items().last().map_or(self, |nested| &nested.outer);
        let mut pruned = around.clone();
        for nested in living.into_iter().rev() {
            pruned = Self::Nested(Arc::new(Nested {
                loan: Arc::clone(&nested.loan),
                outer: pruned,
                also: nested.also.clone(),
            }));
        }
        Some(pruned)
    }

    /// The items that this view is nested under, up to the next narrowed limiter or the pool.
    fn items(&self) -> impl Iterator<Item = &Nested> {
        std::iter::successors(self.item(), |nested| nested.outer.item())
    }

    fn item(&self) -> Option<&Nested> {
        match self {
            Self::Nested(nested) => Some(nested),
            Self::Root(_) | Self::Narrowed(_) => None,
        }
    }

    fn outer(&self) -> Option<&Self> {
        match self {
            Self::Root(_) => None,
            Self::Narrowed(narrowed) => Some(&narrowed.outer),
            Self::Nested(nested) => Some(&nested.outer),
        }
    }

    /// Whether `other` is this view or one that it is within.
    fn is_within(&self, other: &Self) -> bool {
        let mut around = Some(self);
        while let Some(view) = around {
            let same = match (view, other) {
                (Self::Root(one), Self::Root(other)) => one.is(other),
                (Self::Narrowed(one), Self::Narrowed(other)) => Arc::ptr_eq(one, other),
                (Self::Nested(one), Self::Nested(other)) => Arc::ptr_eq(&one.loan, &other.loan),
                _ => false,
            };
            if same {
                return true;
            }
            around = view.outer();
        }
        false
    }
}

impl Nested {
    fn try_lend(&self) -> Option<Held> {
        let lent = Loan::try_lend(&self.loan)?;
        let also = self.also.iter().map(WorkerPool::try_acquire);
        let also = also.collect::<Option<Vec<_>>>()?;
        Some(Held::lent(also, lent))
    }
}
