use brolly_metrics_core::timed;

trait Shop {
    #[timed]
    fn sell(&self);
}

fn main() {}
