//! Asking vantage points, and the check itself. Programs that embed the check start at [`Checker`].

mod check;
mod clock;
mod http;
mod node;
mod pin;
mod report;
mod url;
mod vantage;

pub use check::{Checker, CheckerBuilder, DEFAULT_TIMEOUT};
pub use node::{Known, NoPin, NodeVantage};
pub use report::{Dropped, MissingView, Report, ReportedView};
pub use url::{BadVantageUrl, VantageUrl};
pub use vantage::{Deadline, Missing, VantagePoint};
