//! [`TracingLayer`]: counts the events of `tracing` and times its spans.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brolly_sync::{Clock, SystemClock};
use tracing_core::span::{Attributes, Id};
use tracing_core::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::error::RegisterError;
use crate::family::Family;
use crate::instrument::counter::Counter;
use crate::instrument::histogram::Histogram;
use crate::registry::Registry;
use crate::unit::Unit;

/// Counts the events of `tracing` and times its spans, in one registry.
///
/// | metric | meaning |
/// |---|---|
/// | `tracing_events_total{level,target}` | events that reached this layer |
/// | `tracing_span_seconds{span}` | how long closed spans took, by the span's name |
///
/// It sees what the filters of the subscriber let through, so give it a filter of its own if it
/// should count more than is logged. Each layer has its own state in a span: several, for several
/// registries, do not get in each other's way.
///
/// An event whose level and target were seen before costs a lookup and a counter, and allocates
/// nothing. A span costs an allocation and two looks at the clock. The targets and the names of spans
/// are limited; the rest is counted in the series `overflow`.
///
/// ```
/// use brolly_metrics_core::{Registry, TracingLayer};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let registry = Registry::new();
/// let layer = TracingLayer::new(&registry)?;
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
///     tracing::info_span!("import").in_scope(|| tracing::warn!(target: "shop", "out of stock"));
/// });
/// let snapshot = registry.snapshot();
/// let events = snapshot.counter("tracing_events_total").expect("one was sent");
/// assert_eq!(events.get(&["warn", "shop"]), Some(&1));
/// let spans = snapshot.histogram("tracing_span_seconds").expect("one was closed");
/// assert_eq!(spans.get(&["import"]).map(|it| it.count()), Some(1));
/// # Ok::<(), brolly_metrics_core::RegisterError>(())
/// ```
pub struct TracingLayer {
    /// Tells the layers of a subscriber apart.
    number: u64,
    events: Family<Counter, 2>,
    spans: Family<Histogram, 1>,
    span_time: SpanTime,
    clock: Arc<dyn Clock>,
}

/// Which time of a span is recorded when it is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpanTime {
    /// From its making to its closing, time spent waiting included: how long it took.
    #[default]
    Total,
    /// While it was entered, on one thread or on several: how long it was worked on.
    Busy,
}

static NUMBERS: AtomicU64 = AtomicU64::new(0);

impl TracingLayer {
    /// A layer that records into this registry, the total time of spans and as many targets and names
    /// as the registry's limit of series allows.
    ///
    /// # Errors
    ///
    /// When the registry has other metrics under these names, or no room.
    pub fn new(registry: &Registry) -> Result<Self, RegisterError> {
        let events = registry
            .counter("tracing_events_total")
            .help("Events of tracing by level and target")
            .labels(["level", "target"])
            .get_or_register()?;
        let spans = registry
            .histogram("tracing_span_seconds")
            .help("How long closed spans of tracing took, by name")
            .unit(Unit::Seconds)
            .labels(["span"])
            .get_or_register()?;
        Ok(Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            events,
            spans,
            span_time: SpanTime::default(),
            clock: Arc::new(SystemClock::new()),
        })
    }

    /// Records this time of spans.
    #[must_use]
    pub fn with_span_time(mut self, span_time: SpanTime) -> Self {
        self.span_time = span_time;
        self
    }

    /// Takes the time from this clock, instead of the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Calls `change` with this layer's state of a span, if it saw the span being made.
    fn with_timing<S, R>(
        &self,
        id: &Id,
        ctx: &Context<'_, S>,
        change: impl FnOnce(&mut Timing) -> R,
    ) -> Option<R>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let span = ctx.span(id)?;
        let mut extensions = span.extensions_mut();
        let timings = extensions.get_mut::<Timings>()?;
        timings.of(self.number).map(change)
    }
}

impl<S> Layer<S> for TracingLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let labels = [level_name(*metadata.level()), metadata.target()];
        self.events.with(labels, Counter::inc);
    }

    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let timing = Timing {
            layer: self.number,
            start: self.clock.now(),
            busy: Duration::ZERO,
            entered: 0,
        };
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Timings>() {
            Some(timings) => timings.others.push(timing),
            None => extensions.insert(Timings {
                first: timing,
                others: Vec::new(),
            }),
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        if self.span_time == SpanTime::Busy {
            let now = self.clock.now();
            self.with_timing(id, &ctx, |timing| timing.enter(now));
        }
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        if self.span_time == SpanTime::Busy {
            let now = self.clock.now();
            self.with_timing(id, &ctx, |timing| timing.exit(now));
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let now = self.clock.now();
        let took = self.with_timing(&id, &ctx, |timing| match self.span_time {
            SpanTime::Total => now.saturating_sub(timing.start),
            SpanTime::Busy => timing.busy,
        });
        let name = ctx.metadata(&id).map(tracing_core::Metadata::name);
        if let Some((took, name)) = took.zip(name) {
            self.spans
                .with([name], |histogram| histogram.observe_duration(took));
        }
    }
}

impl fmt::Debug for TracingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracingLayer")
            .field("events", &self.events)
            .field("spans", &self.spans)
            .field("span_time", &self.span_time)
            .finish_non_exhaustive()
    }
}

/// What the layers keep with a span; mostly there is one layer.
struct Timings {
    first: Timing,
    others: Vec<Timing>,
}

impl Timings {
    fn of(&mut self, layer: u64) -> Option<&mut Timing> {
        let mut all = std::iter::once(&mut self.first).chain(&mut self.others);
        all.find(|timing| timing.layer == layer)
    }
}

struct Timing {
    layer: u64,
    /// When the span was made; for the busy time, when it was last entered while nobody was inside.
    start: Duration,
    busy: Duration,
    /// How often it is entered at this moment: several threads may be inside.
    entered: usize,
}

impl Timing {
    fn enter(&mut self, now: Duration) {
        if self.entered == 0 {
            self.start = now;
        }
        self.entered += 1;
    }

    fn exit(&mut self, now: Duration) {
        self.entered = self.entered.saturating_sub(1);
        if self.entered == 0 {
            self.busy += now.saturating_sub(self.start);
        }
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}
