//! For working on the map: no peers, one function, small and large concurrency.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use brolly_batch::BatchProcessor;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ITEMS: u64 = 10_000;

/// Polls until ready, with no runtime between the map and the clock.
fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

async fn give_way() {
    let mut is_second = false;
    poll_fn(|context| {
        if is_second {
            return Poll::Ready(());
        }
        is_second = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn map(c: &mut Criterion) {
    let mut group = c.benchmark_group("map");
    group.throughput(Throughput::Elements(ITEMS));
    for concurrency in [1, 10, 100] {
        let processor = BatchProcessor::builder()
            .max_concurrent(concurrency)
            .build()
            .expect("the concurrency is sensible");
        group.bench_function(format!("noop_c{concurrency}"), |b| {
            b.iter(|| {
                let work = |item| async move { Ok::<u64, ()>(black_box(item)) };
                let results = finish(processor.map(0..ITEMS, work));
                assert_eq!(results.len() as u64, ITEMS);
                results
            });
        });
        group.bench_function(format!("yield_c{concurrency}"), |b| {
            b.iter(|| {
                let work = |item| async move {
                    give_way().await;
                    Ok::<u64, ()>(black_box(item))
                };
                let results = finish(processor.map(0..ITEMS, work));
                assert_eq!(results.len() as u64, ITEMS);
                results
            });
        });
    }
    group.finish();
}

criterion_group!(benches, map);
criterion_main!(benches);
