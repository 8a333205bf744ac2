//! What may go to other threads, checked when the tests are compiled.

use std::panic::{RefUnwindSafe, UnwindSafe};

use brolly_metrics_core::*;

fn anywhere<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}
fn on_threads<T: Send + Sync + Unpin>() {}

#[test]
fn handles_and_data_go_anywhere() {
    anywhere::<Registry>();
    on_threads::<Counter>();
    on_threads::<Family<Counter, 2>>();
    on_threads::<Family<Timer, 0>>();
    on_threads::<Gauge>();
    on_threads::<IntGauge>();
    on_threads::<Tracked>();
    on_threads::<Histogram>();
    on_threads::<Summary>();
    on_threads::<Timer>();
    on_threads::<TimerGuard<'static>>();
    on_threads::<Definition<'static, Counter>>();
    anywhere::<Snapshot>();
    anywhere::<HistogramSnapshot>();
    anywhere::<Buckets>();
    anywhere::<RegisterError>();
}
