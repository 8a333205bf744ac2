//! How well caches, pools, resources and the process are.

mod checks;
mod event_window;
mod rules;

pub use checks::{Check, CheckLimits, CheckStatus, HealthReport};
pub use event_window::EventWindow;
pub use rules::{Ailment, HealthRules};
