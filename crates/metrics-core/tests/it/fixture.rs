//! Snapshots made by hand, for tests that need no registry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use brolly_metrics_core::{FamilySnapshot, SeriesSnapshot, Snapshot, Unit};

/// A moment in November 2026.
pub(crate) fn moment() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_795_000_000_250)
}

pub(crate) fn empty() -> Snapshot {
    Snapshot::empty(moment())
}

/// A family without labels.
pub(crate) fn plain<T>(name: &str, unit: Unit, value: T) -> FamilySnapshot<T> {
    family(name, unit, &[], [(vec![], value)])
}

pub(crate) fn family<T>(
    name: &str,
    unit: Unit,
    label_names: &[&str],
    series: impl IntoIterator<Item = (Vec<&'static str>, T)>,
) -> FamilySnapshot<T> {
    let series = series.into_iter().map(|(values, value)| SeriesSnapshot {
        label_values: values.into_iter().map(str::to_owned).collect(),
        value,
    });
    FamilySnapshot {
        name: name.to_owned(),
        help: format!("What {name} means."),
        unit,
        label_names: label_names.iter().map(|&name| name.to_owned()).collect(),
        series: series.collect(),
    }
}
