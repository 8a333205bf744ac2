//! For working on the graph: planning and running a chain and a fan, no peers.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use brolly_batch::DenseDag;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const NODES: u32 = 10_000;

/// The nodes never wait, so the run never does.
fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

fn dag(c: &mut Criterion) {
    let last = NODES - 1;
    let chain: Vec<_> = (0..last).map(|node| (node, node + 1)).collect();
    let fan: Vec<_> = (1..last)
        .flat_map(|node| [(0, node), (node, last)])
        .collect();

    let mut group = c.benchmark_group("dag");
    group.throughput(Throughput::Elements(u64::from(NODES)));
    for (shape, edges) in [("deep", chain), ("wide", fan)] {
        let plan = || DenseDag::from_edges(NODES as usize, &edges).expect("there is no cycle");
        group.bench_function(format!("plan_{shape}"), |b| b.iter(plan));
        let plan = plan();
        group.bench_function(format!("run_{shape}"), |b| {
            b.iter(|| {
                let run = plan.run(100, |node| async move { Ok::<usize, ()>(node) });
                let outcomes = finish(run).expect("the limit is sensible");
                assert_eq!(outcomes.len(), NODES as usize);
                outcomes
            });
        });
    }
    group.finish();
}

criterion_group!(benches, dag);
criterion_main!(benches);
