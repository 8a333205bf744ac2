//! What may be sent to and shared between threads: everything.

use brolly_advisor::{
    Advisor, AdvisorConfig, Alarm, AlertEngine, ErrorGroups, EventWindow, HealthReport, History,
    Report, RuleSet, SizeSmoother, Timeline, Trend,
};

const fn is_plain<T: Send + Sync + Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}

#[test]
fn everything_can_be_sent_and_shared() {
    is_plain::<Advisor>();
    is_plain::<AdvisorConfig>();
    is_plain::<Alarm>();
    is_plain::<AlertEngine>();
    is_plain::<ErrorGroups>();
    is_plain::<EventWindow>();
    is_plain::<HealthReport>();
    is_plain::<History>();
    is_plain::<Report>();
    is_plain::<RuleSet>();
    is_plain::<SizeSmoother>();
    is_plain::<Timeline>();
    is_plain::<Trend>();
}
