//! A whole [`Snapshot`] as a page.

use crate::encode::{Encoder, Format, render_labels};
use crate::kind::Kind;
use crate::snapshot::{FamilySnapshot, Snapshot};

impl Snapshot {
    /// The snapshot as a page that Prometheus reads, families in the order of their names.
    ///
    /// In names every character that is not allowed, above all the dot, becomes `_`, and the
    /// samples of a counter end with `_total`, whether its name does or not. A summary shows its
    /// quantiles and its count.
    ///
    /// A histogram with explicit buckets shows their bounds. One with log-linear buckets, which
    /// are too many for a page, shows a fixed ladder of bounds, the same for all histograms of the
    /// unit:
    ///
    /// | unit | bounds | from | to | each times the one before |
    /// |---|---|---|---|---|
    /// | none | 19 | 0.001 | 70 million | 4 |
    /// | seconds | 20 | 4 µs | 137 s | 2 from 0.26 ms to 2.1 s, else 4 |
    /// | bytes | 17 | 255 | 1 TiB | 4 |
    /// | ratio | 15 | 0.001 | 1.07 | 4, then 2, and 1.1 to 1.3 from 0.27 up |
    ///
    /// Each is the exact upper edge of a bucket, so what is counted below it is exact; that is why
    /// they are not round: the ladder of seconds has 1.073741823, which is 2^30 - 1 nanoseconds.
    ///
    /// ```
    /// use brolly_metrics_core::{Format, Snapshot};
    ///
    /// let page = Snapshot::empty(std::time::SystemTime::now()).encode(Format::OpenMetrics);
    /// assert_eq!(page, "# EOF\n");
    /// ```
    #[must_use]
    pub fn encode(&self, format: Format) -> String {
        let mut out = Vec::new();
        self.encode_into(format, &mut out);
        String::from_utf8(out).expect("names, labels and numbers are text")
    }

    /// Appends what [`encode`](Self::encode) gives to `out`.
    pub fn encode_into(&self, format: Format, out: &mut Vec<u8>) {
        let mut page = Page {
            encoder: Encoder::new(out, format),
            labels: String::new(),
        };
        let mut counters = self.counters.iter().peekable();
        let mut gauges = self.gauges.iter().peekable();
        let mut histograms = self.histograms.iter().peekable();
        let mut summaries = self.summaries.iter().peekable();
        loop {
            let heads = [
                counters.peek().map(|family| (&family.name, Kind::Counter)),
                gauges.peek().map(|family| (&family.name, Kind::Gauge)),
                histograms
                    .peek()
                    .map(|family| (&family.name, Kind::Histogram)),
                summaries.peek().map(|family| (&family.name, Kind::Summary)),
            ];
            let Some((_, kind)) = heads.into_iter().flatten().min() else {
                break;
            };
            match kind {
                Kind::Counter => page.family(counters.next(), kind, |encoder, labels, total| {
                    encoder.counter(labels, *total);
                }),
                Kind::Gauge => page.family(gauges.next(), kind, |encoder, labels, gauge| {
                    encoder.gauge(labels, gauge.value);
                }),
                Kind::Histogram => {
                    page.family(histograms.next(), kind, |encoder, labels, distribution| {
                        encoder.histogram(labels, distribution);
                    });
                }
                Kind::Summary => page.family(summaries.next(), kind, |encoder, labels, summary| {
                    encoder.summary(labels, summary);
                }),
            }
        }
        page.encoder.finish();
    }
}

struct Page<'a> {
    encoder: Encoder<'a>,
    labels: String,
}

impl Page<'_> {
    fn family<T>(
        &mut self,
        family: Option<&FamilySnapshot<T>>,
        kind: Kind,
        series: impl Fn(&mut Encoder<'_>, &[u8], &T),
    ) {
        let Some(family) = family else { return };
        self.encoder
            .family(&family.name, &family.help, family.unit, kind);
        for one in &family.series {
            self.labels.clear();
            render_labels(&mut self.labels, &family.label_names, &one.label_values);
            series(&mut self.encoder, self.labels.as_bytes(), &one.value);
        }
    }
}
