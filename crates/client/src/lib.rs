//! Asking vantage points, and the check itself. Programs that embed the check start at [`Checker`].

mod chance;
mod channel;
mod check;
mod clock;
mod course;
mod federation;
mod gathered;
mod http;
mod hub;
mod hub_vantage;
mod janus;
mod mail;
mod node;
mod notary;
mod notary_list;
mod peer;
mod pin;
mod queue;
mod report;
mod resolve;
mod trust;
mod url;
mod vantage;

pub use chance::Chance;
pub use channel::{
    Attached, AttachedCaller, BadKeyFile, CallError, Called, Channel, Pushed, ServerUrl, new_key_file, public_key_pem,
    read_key_file, read_public_key,
};
pub use check::{Checker, CheckerBuilder, DEFAULT_TIMEOUT, ordinary_question};
pub use federation::{
    BadBootstrapUrl, BadKnownMirrors, BootstrapUrl, Changed, Federation, KNOWN_FORMAT, KnownMirror, KnownMirrors,
    LARGEST_KNOWN, LEAST_KNOWN, ListsTold, MOST_KNOWN, NoList, Noted, diverse_pairs, in_any_order,
};
pub use hub::HubPoint;
pub use hub_vantage::{HubVantage, PeerLoop, PeerNews};
pub use janus::{
    BadIdentity, BadProof, Claims, IdentityKey, JanusError, JanusNode, NewKey, OwnIdentity, PendingOrder, Placement,
    Proof, certificates_pem, read_certificates,
};
pub use mail::{MailReport, RelayReport, ReportedRoute};
pub use node::{Known, MOST_PAGES, NoPin, NodeVantage};
pub use notary::{BadNotaryKey, NotaryAddress, NotaryKey, OldNotary};
pub use notary_list::{BadNotaryList, LARGEST_NOTARY_LIST, parse_notary_list};
pub use peer::{Lie, PeerEye, PeerSettings};
pub use queue::{BadQueueUrl, QueueAccess, QueueError, QueueUrl};
pub use report::{
    AskedMirrors, Dropped, JudgedHostKey, MissingView, Report, ReportedHub, ReportedNotary, ReportedPeer, ReportedView,
};
pub use resolve::{NameReport, ReportedAnswer};
pub use trust::{TrustError, TrustNode};
pub use url::{BadVantageUrl, HUB_SCHEME, NOTARY_SCHEME, VantageName, VantageUrl};
pub use vantage::{Deadline, Missing, VantagePoint};
// What users name themselves by.
pub use parallax_janus::{BadMailbox, Mailbox, Token};
