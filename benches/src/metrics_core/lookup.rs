//! Two labels looked up with the borrowed text of a request, then counted.

use std::collections::HashSet;

use super::data::{LabelSet, label_sets, random_places};
use super::faces::{self, Family};
use super::hot::{BATCHES, allocations, allocations_contest, expect, nanos_contest, nanos_of};
use super::ours;
use super::peers::{
    client_rust, everyone, fast_telemetry, fastmetrics, measured, metrics_facade, opentelemetry,
    rust_prometheus, with_text,
};
use crate::axis::Axis;
use crate::driver::{Effort, Goal, Measured};
use crate::record::Record;

/// Series are visited in an order that no branch predictor remembers.
const VISITS: usize = 16_384;

/// Requests as they come in: their text one after the other in memory, each naming a series at
/// random.
struct Requests {
    sets: Vec<LabelSet>,
    places: Vec<u32>,
    visits: Vec<[&'static str; 2]>,
}

impl Requests {
    fn new(rows: usize, columns: usize) -> Self {
        let sets = label_sets(rows, columns);
        let places = random_places(sets.len(), VISITS);
        let visited = || places.iter().map(|place| &sets[*place as usize]);
        let text: String = visited().flatten().map(String::as_str).collect();
        // Three axes make it once each; it is small.
        let mut rest: &'static str = text.leak();
        let mut take = |len: usize| {
            let (value, after) = rest.split_at(len);
            rest = after;
            value
        };
        let visits = visited().map(|[route, status]| [take(route.len()), take(status.len())]);
        Self {
            visits: visits.collect(),
            sets,
            places,
        }
    }
}

fn look_up<F: Family>(requests: &Requests) -> Measured {
    let series_are_kept_apart = [["ab", "c"], ["a", "bc"]];
    let family = F::new(Some(requests.sets.len() + series_are_kept_apart.len()));
    for [route, status] in &requests.sets {
        family.inc([route, status]);
    }
    let figure = nanos_of(VISITS as u64, || {
        for labels in &requests.visits {
            family.inc(*labels);
        }
    });
    check(&family, requests)?;
    for labels in series_are_kept_apart {
        family.inc(labels);
    }
    for labels in series_are_kept_apart {
        let total = family.total(labels);
        expect(
            "one of two label sets that read the same when joined",
            total,
            1,
        )?;
    }
    Ok(figure)
}

/// Every series was counted once at first and then once a visit; a dozen of them are read back,
/// because some libraries can only be read by encoding all.
fn check<F: Family>(family: &F, requests: &Requests) -> Result<(), String> {
    let rounds = BATCHES as u64 + 1;
    let visits = VISITS as u64 * rounds;
    expect("the sum", family.sum(), requests.sets.len() as u64 + visits)?;
    let read: HashSet<u32> = requests.places.iter().take(12).copied().collect();
    for place in read {
        let [route, status] = &requests.sets[place as usize];
        let times = requests.places.iter().filter(|it| **it == place).count() as u64;
        let total = family.total([route, status]);
        expect("the total of a series", total, 1 + times * rounds)?;
    }
    Ok(())
}

fn look_up_allocations<F: Family>(requests: &Requests) -> Measured {
    let family = F::new(Some(requests.sets.len()));
    let mut visits = requests.visits.iter().cycle();
    allocations(|| {
        if let Some(labels) = visits.next() {
            family.inc(*labels);
        }
    })
}

pub(super) fn axes() -> Vec<Axis> {
    let axis = |name: &'static str, run: fn(&'static str, Effort) -> Result<Record, String>| {
        Axis::new(name, move |effort| run(name, effort))
    };
    vec![
        axis("lookup_inc_10", |name, effort| {
            let requests = Requests::new(5, 2);
            let contest = nanos_contest(name, Goal::BestPeer(1.6));
            everyone!(contest, look_up::<Family>(&requests)).run(effort, effort.pick(9, 31))
        }),
        axis("lookup_inc_10k", |name, effort| {
            let requests = Requests::new(100, 100);
            let contest = nanos_contest(name, Goal::BestPeer(1.3));
            everyone!(contest, look_up::<Family>(&requests)).run(effort, effort.pick(5, 15))
        }),
        axis("allocs_per_lookup", |name, effort| {
            let requests = Requests::new(5, 2);
            let contest = allocations_contest(name);
            everyone!(contest, look_up_allocations::<Family>(&requests)).run(effort, 3)
        }),
    ]
}
