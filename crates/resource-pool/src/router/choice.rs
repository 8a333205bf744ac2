//! Which target is picked: by the strategy, by what a query asks for, and in whose place.

use std::hash::Hash;
use std::time::Duration;

use brolly_sync::NEVER;

use crate::router::config::Strategy;
use crate::router::error::PickError;
use crate::router::hash::{Random, score};
use crate::router::index::Index;
use crate::router::query::{Affinity, Fallback, PickReason, Query};
use crate::router::state::{Picked, Slot, State};

/// What a target has to be, as a query says.
struct Filter<'a, K> {
    tags: u64,
    among: Option<&'a [K]>,
    except: &'a [K],
}

impl<K: Eq + Hash, T> State<K, T> {
    /// Picks by the strategy, out of all that are listed.
    #[inline(always)]
    pub(super) fn pick(&mut self, now: u64) -> Option<Picked<K, T>> {
        let slot = match &self.index {
            Index::Levels(levels) => levels.first()?,
            Index::Heap(heap) => heap.first()?.slot,
            Index::Flat(flat) if flat.listed().is_empty() => return None,
            Index::Flat(flat) => {
                let (slots, random) = (&self.slots, &mut self.random);
                draw(
                    self.rules.strategy,
                    slots,
                    self.weighted,
                    random,
                    flat.listed(),
                )
            }
        };
        Some(self.reserve(slot, PickReason::Strategy, now))
    }

    /// Picks what a query asks for.
    pub(super) fn pick_for(
        &mut self,
        query: &Query<'_, K>,
        now: u64,
    ) -> Result<Picked<K, T>, PickError> {
        match self.choose(query) {
            Ok((slot, reason)) => {
                self.fallbacks += u64::from(reason.is_fallback());
                Ok(self.reserve(slot, reason, now))
            }
            Err(Some(error)) => {
                self.refusals += 1;
                Err(error)
            }
            Err(None) => Err(self.refuse(now)),
        }
    }

    /// Nobody will do.
    #[cold]
    pub(super) fn refuse(&mut self, now: u64) -> PickError {
        self.refusals += 1;
        let wait = self.next_return.saturating_sub(now);
        PickError::NoTargets {
            known: self.known,
            ejected: self.out.len(),
            suspended: self.suspended,
            retry_after: (self.next_return != NEVER).then(|| Duration::from_nanos(wait)),
        }
    }

    fn choose(&mut self, query: &Query<'_, K>) -> Result<(u32, PickReason), Option<PickError>> {
        let mut filter = Filter {
            tags: 0,
            among: query.among,
            except: query.except,
        };
        // A tag that nobody has is met by nobody.
        let chosen = match self.tags.bits(query.tags) {
            Some(tags) => {
                filter.tags = tags;
                self.choose_filtered(query, &filter)
            }
            None => Err(None),
        };
        let may_lack_tags = !query.tags.is_empty() && query.tags_fallback == Fallback::Another;
        match chosen {
            // Who was asked for by its id may be unavailable for nothing but its tags.
            Err(error) if may_lack_tags && (error.is_none() || query.is_for_an_id()) => {
                filter.tags = 0;
                let (slot, _) = self.choose_filtered(query, &filter)?;
                Ok((slot, PickReason::TagsIgnored))
            }
            chosen => chosen,
        }
    }

    fn choose_filtered(
        &mut self,
        query: &Query<'_, K>,
        filter: &Filter<'_, K>,
    ) -> Result<(u32, PickReason), Option<PickError>> {
        let (reason, refusal) = match query.affinity {
            Affinity::None => {
                let slot = self.by_strategy(filter).ok_or(None)?;
                return Ok((slot, PickReason::Strategy));
            }
            Affinity::Key(key) => match self.by_key(key, filter) {
                (_, None) => return Err(None),
                (true, Some(slot)) => return Ok((slot, PickReason::Affinity)),
                (false, Some(slot)) if query.affinity_fallback == Fallback::Another => {
                    return Ok((slot, PickReason::Unavailable));
                }
                (false, Some(_)) => return Err(Some(PickError::Unavailable)),
            },
            Affinity::Id(id) => match self.find(id) {
                None => (PickReason::UnknownId, PickError::Unknown),
                Some(slot) if self.is_listed(slot) && self.is_allowed(slot, filter) => {
                    return Ok((slot, PickReason::Affinity));
                }
                Some(_) => (PickReason::Unavailable, PickError::Unavailable),
            },
        };
        if query.affinity_fallback == Fallback::Nobody {
            return Err(Some(refusal));
        }
        let slot = self.by_strategy(filter).ok_or(None)?;
        Ok((slot, reason))
    }

    /// Whether a known slot has the tags and is not excluded.
    fn meets(&self, slot: u32, filter: &Filter<'_, K>) -> bool {
        let it = &self.slots[slot as usize];
        let has_tags = it.tags & filter.tags == filter.tags;
        let target = it.target.as_ref();
        has_tags && target.is_some_and(|it| !filter.except.contains(&it.id))
    }

    /// The same, with the allow list.
    fn is_allowed(&self, slot: u32, filter: &Filter<'_, K>) -> bool {
        let target = self.slots[slot as usize].target.as_ref();
        let is_named = |ids: &[K]| target.is_some_and(|it| ids.contains(&it.id));
        self.meets(slot, filter) && filter.among.is_none_or(is_named)
    }

    /// The strategy's choice among those that are listed and meet the filter.
    fn by_strategy(&mut self, filter: &Filter<'_, K>) -> Option<u32> {
        if let (Index::Levels(levels), None) = (&self.index, filter.among) {
            return levels.in_order().find(|it| self.meets(*it, filter));
        }
        let found = self.gather(filter, true);
        let chosen = match (&self.index, &*found) {
            (_, []) => None,
            (Index::Flat(_), found) => Some(draw(
                self.rules.strategy,
                &self.slots,
                self.weighted,
                &mut self.random,
                found,
            )),
            (_, found) => {
                let entries = found.iter().map(|it| self.entry(*it));
                let first =
                    entries.reduce(|first, it| if it.is_before(&first) { it } else { first });
                first.map(|it| it.slot)
            }
        };
        self.keep(found);
        chosen
    }

    /// Whose key it is, if that one is listed; else who is next in the key's order.
    fn by_key(&mut self, key: u64, filter: &Filter<'_, K>) -> (bool, Option<u32>) {
        let found = self.gather(filter, false);
        let all_are_equal = self.weighted == 0;
        let (mut owner, mut best) = (None, None);
        for slot in &found {
            let weight = self.slots[*slot as usize].weight;
            let score = score(
                key,
                self.records[*slot as usize].hash,
                weight,
                all_are_equal,
            );
            if owner.is_none_or(|(most, _)| score > most) {
                owner = Some((score, *slot));
            }
            if best.is_none_or(|(most, _)| score > most) && self.is_listed(*slot) {
                best = Some((score, *slot));
            }
        }
        self.keep(found);
        (owner == best, best.map(|it| it.1))
    }

    /// Keeps the room for the next choice, unless it is more than the targets need: an allow list
    /// may be of any length.
    fn keep(&mut self, found: Vec<u32>) {
        if found.capacity() <= 2 * self.slots.len() {
            self.scratch = found;
        }
    }

    /// Slots that meet the filter, each once: those that are listed, or all that are known.
    fn gather(&mut self, filter: &Filter<'_, K>, only_listed: bool) -> Vec<u32> {
        let mut found = std::mem::take(&mut self.scratch);
        found.clear();
        match filter.among {
            Some(ids) => {
                let named = ids.iter().filter_map(|id| self.find(id));
                found.extend(named.filter(|it| self.meets(*it, filter)));
                found.sort_unstable();
                found.dedup();
                if only_listed {
                    found.retain(|it| self.is_listed(*it));
                }
            }
            None if only_listed => self.index.for_each(|slot| {
                if self.meets(slot, filter) {
                    found.push(slot);
                }
            }),
            None => {
                let slots = 0..self.slots.len() as u32;
                found.extend(slots.filter(|it| self.meets(*it, filter)));
            }
        }
        found
    }
}

/// Draws one of these, which are not none.
// Apart, so that a pick of the first in an order needs no room for this.
#[inline(never)]
fn draw<K, T>(
    strategy: Strategy,
    slots: &[Slot<K, T>],
    weighted: usize,
    random: &mut Random,
    from: &[u32],
) -> u32 {
    let end = from.len() as u64;
    if strategy == Strategy::TwoChoices {
        let first = from[random.below(end) as usize];
        if end == 1 {
            return first;
        }
        // Two different ones: the second is drawn from all but the first.
        let at = random.below(end - 1) as usize;
        let second = if from[at] == first {
            from[end as usize - 1]
        } else {
            from[at]
        };
        let of = |slot: u32| &slots[slot as usize];
        let mine = u128::from(of(first).load()) * u128::from(of(second).weight);
        let others = u128::from(of(second).load()) * u128::from(of(first).weight);
        return if others < mine { second } else { first };
    }
    if weighted == 0 {
        return from[random.below(end) as usize];
    }
    draw_by_weight(slots, random, from)
}

/// Draws one as often as its weight says. O(n).
fn draw_by_weight<K, T>(slots: &[Slot<K, T>], random: &mut Random, from: &[u32]) -> u32 {
    let weight = |slot: &u32| u64::from(slots[*slot as usize].weight);
    let total = from.iter().map(weight).sum::<u64>();
    let mut left = random.below(total.max(1));
    for slot in from {
        let weight = weight(slot);
        if left < weight {
            return *slot;
        }
        left -= weight;
    }
    from[from.len() - 1]
}
