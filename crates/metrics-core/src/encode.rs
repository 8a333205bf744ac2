//! [`Encoder`]: writes metrics, family by family, as Prometheus text 0.0.4 or OpenMetrics 1.0.
//!
//! A line is copied together from parts that are rendered once: the name once per family, the
//! labels once per series (by the caller), the bounds of buckets once per list of bounds. What is
//! left per line is a number. Nothing is allocated but the page itself, and that only while it
//! grows: working space is kept per thread between pages.

mod escape;
mod format;
mod fragments;
mod ladder;
mod number;
mod page;

use std::cell::Cell;

#[cfg(feature = "serde")]
pub(crate) use self::escape::push_label_name;
pub(crate) use self::escape::{push_name, render_labels};
pub use self::format::Format;
use self::fragments::Fragments;
use crate::kind::Kind;
use crate::snapshot::SummarySnapshot;
use crate::snapshot::histogram::HistogramSnapshot;
use crate::unit::Unit;

/// What the name of a counter's samples ends with.
const TOTAL: &str = "_total";

/// Appends the name of a family's plain samples: the family's, and `_total` once for a counter.
pub(crate) fn push_sample_name(out: &mut String, name: &str, kind: Kind) {
    let start = out.len();
    escape::push_name(out, name);
    let base = out[start..].strip_suffix(TOTAL);
    if kind == Kind::Counter && base.is_none_or(str::is_empty) {
        out.push_str(TOTAL);
    }
}

/// Writes one page.
///
/// [`family`](Self::family) comes before the series of a family, and all of them before the next
/// family; [`finish`](Self::finish) comes last. Labels are as [`render_labels`] writes them.
#[derive(Debug)]
pub(crate) struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
    scratch: Scratch,
}

/// Working space: what is the same for all lines of a family or of a series.
#[derive(Debug, Default)]
struct Scratch {
    /// The name of the family's plain samples: with `_total` for a counter.
    name: String,
    /// How much of the name is without `_total`.
    base: usize,
    /// Whether the family's totals are nanoseconds, to be shown as seconds.
    is_time: bool,
    /// What comes before the series of a family.
    header: String,
    /// The start of the lines of one series.
    line: Vec<u8>,
    fragments: Fragments,
}

thread_local! {
    static SCRATCH: Cell<Option<Scratch>> = const { Cell::new(None) };
}

impl<'a> Encoder<'a> {
    /// Appends a page to `out`.
    pub(crate) fn new(out: &'a mut Vec<u8>, format: Format) -> Self {
        let kept = SCRATCH.try_with(Cell::take).ok().flatten();
        Self {
            out,
            format,
            scratch: kept.unwrap_or_default(),
        }
    }

    /// Begins a family: its HELP and TYPE, and in OpenMetrics its UNIT where the name ends with
    /// it.
    ///
    /// The name is as it was registered. A family without help gets its own name for it, because
    /// a page without HELP is refused by linters.
    pub(crate) fn family(&mut self, name: &str, help: &str, unit: Unit, kind: Kind) {
        let Scratch {
            name: exposed,
            base,
            is_time,
            header,
            ..
        } = &mut self.scratch;
        exposed.clear();
        header.clear();
        *is_time = kind == Kind::Counter && unit == Unit::Seconds;
        push_sample_name(exposed, name, kind);
        *base = exposed.len();
        if kind == Kind::Counter {
            *base -= TOTAL.len();
        }

        let is_open = self.format == Format::OpenMetrics;
        let family = if is_open { &exposed[..*base] } else { exposed };
        let help = if help.is_empty() { name } else { help };
        for part in ["# HELP ", family, " "] {
            header.push_str(part);
        }
        escape::push_escaped(header, help, is_open);
        for part in ["\n# TYPE ", family, " ", kind.name(), "\n"] {
            header.push_str(part);
        }
        let unit = unit.name();
        let names_unit = family
            .strip_suffix(unit)
            .is_some_and(|rest| rest.ends_with('_'));
        if is_open && !unit.is_empty() && names_unit {
            for part in ["# UNIT ", family, " ", unit, "\n"] {
                header.push_str(part);
            }
        }
        self.out.extend_from_slice(header.as_bytes());
    }

    /// One series of a counter.
    #[inline]
    pub(crate) fn counter(&mut self, labels: &[u8], total: u64) {
        self.start(labels);
        self.total(total);
        self.out.push(b'\n');
    }

    /// Begins lines whose text is rendered already: the end of the line before, the name of
    /// [`push_sample_name`], labels, a space. So a line takes two copies.
    pub(crate) fn begin_lines(&mut self) {
        let header_end = self.out.pop();
        debug_assert_eq!(header_end, Some(b'\n'), "a family begins with its header");
    }

    /// Ends lines that were begun.
    pub(crate) fn end_lines(&mut self) {
        self.out.push(b'\n');
    }

    /// A line of a counter between [`begin_lines`](Self::begin_lines) and
    /// [`end_lines`](Self::end_lines).
    #[inline]
    pub(crate) fn total_line(&mut self, start: &[u8], total: u64) {
        self.out.extend_from_slice(start);
        self.total(total);
    }

    #[inline]
    fn total(&mut self, total: u64) {
        if self.scratch.is_time {
            number::push_value(self.out, Unit::Seconds.in_units(total));
        } else {
            number::push_u64(self.out, total);
        }
    }

    /// As [`total_line`](Self::total_line), of a number with a sign.
    #[inline]
    pub(crate) fn signed_line(&mut self, start: &[u8], value: i64) {
        self.out.extend_from_slice(start);
        number::push_i64(self.out, value);
    }

    /// As [`total_line`](Self::total_line), of any number.
    #[inline]
    pub(crate) fn float_line(&mut self, start: &[u8], value: f64) {
        self.out.extend_from_slice(start);
        number::push_value(self.out, value);
    }

    /// One series of a gauge.
    #[inline]
    pub(crate) fn gauge(&mut self, labels: &[u8], value: f64) {
        self.start(labels);
        number::push_value(self.out, value);
        self.out.push(b'\n');
    }

    /// One series of a histogram: a line for each bound shown, `+Inf`, the sum and the count.
    ///
    /// Explicit buckets show their bounds, log-linear ones the [ladder](ladder) of their unit.
    /// What a bound counts is exact in both cases.
    pub(crate) fn histogram(&mut self, labels: &[u8], distribution: &HistogramSnapshot) {
        self.prepare_line("_bucket", labels);
        let Scratch {
            line, fragments, ..
        } = &mut self.scratch;
        fragments.prepare(distribution.unit(), distribution.buckets());
        let below = distribution.cumulative_counts(ladder::bounds(distribution.unit()));
        self.out.extend_from_slice(&line[1..]);
        for (fragment, count) in fragments.iter().zip(below) {
            self.out.extend_from_slice(fragment);
            number::push_u64(self.out, count);
            self.out.extend_from_slice(line);
        }
        let count = distribution.count();
        self.out.extend_from_slice(b"le=\"+Inf\"} ");
        number::push_u64(self.out, count);
        self.out.push(b'\n');

        self.start_of("_sum", labels);
        number::push_value(self.out, distribution.sum());
        self.out.push(b'\n');
        self.start_of("_count", labels);
        number::push_u64(self.out, count);
        self.out.push(b'\n');
    }

    /// One series of a summary: the quantiles of its window, as far as it has them, and how many
    /// samples were ever recorded. It has no `_sum`: none is kept for more than the window.
    pub(crate) fn summary(&mut self, labels: &[u8], summary: &SummarySnapshot) {
        self.prepare_line("", labels);
        let quantiles: [(&[u8], _); 3] = [
            (b"quantile=\"0.5\"} ", summary.p50),
            (b"quantile=\"0.95\"} ", summary.p95),
            (b"quantile=\"0.99\"} ", summary.p99),
        ];
        for (fragment, value) in quantiles {
            if let Some(value) = value {
                self.out.extend_from_slice(&self.scratch.line[1..]);
                self.out.extend_from_slice(fragment);
                number::push_value(self.out, value);
                self.out.push(b'\n');
            }
        }
        self.start_of("_count", labels);
        number::push_u64(self.out, summary.count);
        self.out.push(b'\n');
    }

    /// Ends the page.
    pub(crate) fn finish(self) {
        /// More working space than this is not kept.
        const KEPT_BYTES: usize = 64 << 10;
        if self.format == Format::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
        let scratch = self.scratch;
        let texts = [scratch.name.capacity(), scratch.header.capacity()];
        let lines = [scratch.line.capacity(), scratch.fragments.capacity()];
        if texts.iter().chain(&lines).sum::<usize>() <= KEPT_BYTES {
            // A thread that is ending keeps nothing.
            let _ = SCRATCH.try_with(|kept| kept.set(Some(scratch)));
        }
    }

    /// The start of a line of plain samples, up to the value.
    #[inline]
    fn start(&mut self, labels: &[u8]) {
        self.out.extend_from_slice(self.scratch.name.as_bytes());
        self.out.extend_from_slice(labels);
        self.out.push(b' ');
    }

    /// The start of a line of derived samples, up to the value.
    fn start_of(&mut self, suffix: &str, labels: &[u8]) {
        let base = &self.scratch.name.as_bytes()[..self.scratch.base];
        for part in [base, suffix.as_bytes(), labels, b" "] {
            self.out.extend_from_slice(part);
        }
    }

    /// Renders the start of the lines of a series that add a label of their own, behind the end of
    /// the line before, so that both are copied at once.
    fn prepare_line(&mut self, suffix: &str, labels: &[u8]) {
        let Scratch {
            name, base, line, ..
        } = &mut self.scratch;
        line.clear();
        line.push(b'\n');
        line.extend_from_slice(&name.as_bytes()[..*base]);
        line.extend_from_slice(suffix.as_bytes());
        match labels.strip_suffix(b"}") {
            Some(open) => {
                line.extend_from_slice(open);
                line.push(b',');
            }
            None => line.push(b'{'),
        }
    }
}
