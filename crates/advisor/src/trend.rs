//! Where a number is going: a bounded history, trend, anomaly and forecast.

mod anomaly;
mod estimate;
mod forecast;
mod history;
mod normal;

pub use anomaly::{Anomaly, AnomalyDetector};
pub use estimate::{Direction, MAX_POINTS, MIN_POINTS, Trend, least_squares_slope};
pub use forecast::Forecast;
pub use history::{History, Interval};
