//! Pages of text: how fast they are written, and whether they say what was recorded.

use std::collections::HashMap;
use std::hint::black_box;

use super::data::{self, LABELS, LabelSet, Sample, Shape, hostile_label_sets, label_sets};
use super::faces::{self, BucketChoice, Page};
use super::hot::{expect, nanos_contest, nanos_of};
use super::ours;
use super::peers::{
    client_rust, fast_telemetry, fastmetrics, measured, metrics_facade, opentelemetry,
    rust_prometheus, with_text,
};
use crate::axis::Axis;
use crate::driver::{Effort, Goal, Measured};
use crate::record::Record;

const NO_TEXT: &str = "writes no text of its own";

/// The values of a page, by the labels of their series.
struct Values(HashMap<LabelSet, f64>);

impl Values {
    /// Of the lines whose name ends so and that have no other labels than these.
    fn of(page: &[u8], suffix: &str, label: Option<(&str, &str)>) -> Result<Self, String> {
        let mut values = HashMap::new();
        for (name, mut labels, value) in data::parse(page)? {
            let is_asked = match label {
                Some((label, value)) => labels.remove(label).is_some_and(|it| it == value),
                None => true,
            };
            if !is_asked || !name.ends_with(suffix) {
                continue;
            }
            let set = LABELS.map(|label| labels.remove(label).unwrap_or_default());
            if !labels.is_empty() {
                continue;
            }
            if let Some(before) = values.insert(set.clone(), value) {
                return Err(format!(
                    "{set:?} is there twice, as {before} and as {value}"
                ));
            }
        }
        Ok(Self(values))
    }

    fn expect(&self, sets: &[LabelSet], value: impl Fn(usize) -> f64) -> Result<(), String> {
        expect("the number of series", self.0.len(), sets.len())?;
        for (place, set) in sets.iter().enumerate() {
            let found = self
                .0
                .get(set)
                .ok_or_else(|| format!("{set:?} is missing"))?;
            expect(&format!("{set:?}"), *found, value(place))?;
        }
        Ok(())
    }
}

fn encode_counters<P: Page>(sets: &[LabelSet]) -> Measured {
    let hostile = hostile_label_sets();
    let place = |place| place as f64 + 1.0;
    let mut page = P::of_counters(&hostile);
    Values::of(page.encode(), "", None)?.expect(&hostile, place)?;

    let mut page = P::of_counters(sets);
    let figure = nanos_of(sets.len() as u64, || {
        black_box(page.encode());
    });
    Values::of(page.encode(), "", None)?.expect(sets, place)?;
    Ok(figure)
}

fn encode_histograms<P: Page>(
    sets: &[LabelSet],
    samples: &[Sample],
    buckets: BucketChoice,
) -> Measured {
    let check = |page: &[u8], sets: &[LabelSet]| {
        let count = |_| samples.len() as f64;
        Values::of(page, "_count", None)?.expect(sets, count)?;
        Values::of(page, "_bucket", Some(("le", "+Inf")))?.expect(sets, count)
    };
    let hostile = hostile_label_sets();
    check(
        P::of_histograms(&hostile, samples, buckets).encode(),
        &hostile,
    )?;

    let mut page = P::of_histograms(sets, samples, buckets);
    let figure = nanos_of(sets.len() as u64, || {
        black_box(page.encode());
    });
    check(page.encode(), sets)?;
    Ok(figure)
}

pub(super) fn axes() -> Vec<Axis> {
    let axis = |name: &'static str, run: fn(&'static str, Effort) -> Result<Record, String>| {
        Axis::new(name, move |effort| run(name, effort))
    };
    vec![
        axis("encode_10k_counters", |name, effort| {
            let sets = label_sets(100, 100);
            let contest = nanos_contest(name, Goal::BestPeer(6.0));
            with_text!(contest, encode_counters::<Page>(&sets))
                .unable(<opentelemetry::Page as Page>::NAME, NO_TEXT)
                .run(effort, effort.pick(5, 15))
        }),
        axis("encode_1k_histograms", |name, effort| {
            let sets = label_sets(50, 20);
            let samples = Shape::Lognormal.samples(100);
            let contest = nanos_contest(name, Goal::BestPeer(3.0));
            let classic = BucketChoice::Classic;
            with_text!(contest, encode_histograms::<Page>(&sets, &samples, classic))
                .unable(<opentelemetry::Page as Page>::NAME, NO_TEXT)
                .run(effort, effort.pick(5, 15))
        }),
    ]
}
