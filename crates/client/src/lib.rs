//! Asking vantage points, and the check itself. Programs that embed the check start at [`Checker`].

mod chance;
mod check;
mod clock;
mod course;
mod federation;
mod gathered;
mod http;
mod mail;
mod node;
mod notary;
mod notary_list;
mod pin;
mod report;
mod resolve;
mod url;
mod vantage;

pub use chance::Chance;
pub use check::{Checker, CheckerBuilder, DEFAULT_TIMEOUT, ordinary_question};
pub use federation::{
    BadKnownMirrors, Changed, Federation, KNOWN_FORMAT, KnownMirror, KnownMirrors, LARGEST_KNOWN, LEAST_KNOWN,
    ListsTold, MOST_KNOWN, NoList, Noted,
};
pub use mail::{MailReport, RelayReport, ReportedRoute};
pub use node::{Known, MOST_PAGES, NoPin, NodeVantage};
pub use notary::{BadNotaryKey, NotaryAddress, NotaryKey, OldNotary};
pub use notary_list::{BadNotaryList, LARGEST_NOTARY_LIST, parse_notary_list};
pub use report::{AskedMirrors, Dropped, JudgedHostKey, MissingView, Report, ReportedNotary, ReportedView};
pub use resolve::{NameReport, ReportedAnswer};
pub use url::{BadVantageUrl, NOTARY_SCHEME, VantageName, VantageUrl};
pub use vantage::{Deadline, Missing, VantagePoint};
