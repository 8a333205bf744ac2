//! [`Rows`]: the series of a family side by side, ready to be read in the order of exposition.

use std::sync::Arc;

use crate::family::index::Series;
use crate::instrument::metric::Metric;

/// The series of a family in the order of exposition, with the text each one's lines begin with.
///
/// Made again when the set of series changes. What a page needs lies in a row, so that it is read
/// from front to back.
pub(crate) struct Rows {
    rows: Vec<Row>,
    /// UTF-8; as bytes, because cutting them asks nothing.
    text: Box<[u8]>,
}

pub(crate) struct Row {
    pub(crate) series: Arc<Series>,
    pub(crate) metric: Metric,
    /// Where the row's text ends; it begins where that of the row before it ends.
    end: usize,
}

impl Rows {
    /// The rows of these series, in this order. `render` appends the text of one.
    pub(crate) fn new(series: &[Arc<Series>], render: impl Fn(&Series, &mut String)) -> Self {
        let mut text = String::new();
        let row = |series: &Arc<Series>| {
            render(series, &mut text);
            Row {
                series: Arc::clone(series),
                metric: series.metric.clone(),
                end: text.len(),
            }
        };
        let rows = series.iter().map(row).collect();
        let text = text.into_boxed_str().into_boxed_bytes();
        Self { rows, text }
    }

    /// Each row with its text.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Row)> {
        let mut start = 0;
        self.rows.iter().map(move |row| {
            let text = &self.text[start..row.end];
            start = row.end;
            (text, row)
        })
    }
}
