//! The federation: mirrors that vet, rate and remove one another (`docs/protocols/mirrors.md`). Wire types, and the state
//! machine of one mirror: [`Event`]s in, [`Action`]s and the next deadline out. Also what clients draw and agree on.

mod book;
mod bootstrap;
pub(crate) mod bounded;
mod budget;
mod consensus;
mod dissent;
mod event;
mod federation;
mod joining;
mod notice;
mod operating;
mod peer;
mod pool;
mod proving;
pub(crate) mod random;
mod rates;
mod rating;
mod removing;
mod reporting;
mod rounds;
mod sampler;
mod saved;
mod settings;
mod statement;
mod trials;
mod under_way;
mod wire;

pub use bootstrap::{
    BOOTSTRAP_FORMAT, BOOTSTRAP_LIFE, Bootstrap, BootstrapError, BootstrapFile, LARGEST_BOOTSTRAP, LEAST_NETWORKS,
    MOST_PAIRS, MOST_PUBLISHERS, Pair,
};
pub use consensus::{Heard, Kept, LISTS_ASKED, MOST_ANCHORS, MasterList, consensus};
pub use dissent::{Dissent, forgets, is_equivocation};
pub use event::{Action, Answer, Event, Hop, MeetId, NoAnswer, OwnLook, QuizId, Reason, Refused, RoundId, Unmet};
pub use federation::{Federation, Standing};
pub use joining::newcomers;
pub use notice::{LARGEST_NOTICE, NOTICE_FORMAT, NOTICE_LIFE, Notice};
pub use operating::Wish;
pub use peer::{BadPeer, MOST_ADDRESSES, Peer};
pub use pool::{Popular, PopularNames};
pub use sampler::{Drawable, FIRST_ASKED, HEDGED, MOST_ASKED, NEAR, Sampler};
pub use saved::Saved;
pub use settings::Settings;
pub use statement::{Heading, Signatory, Statement, StatementError, body_of, claimed_signer, sign, sign_body, verify};
pub use wire::{
    Ballot, FORGETTINGS, LARGEST_LIST, LARGEST_REMOVAL, LARGEST_REPORT, LARGEST_VOTE, LIST_LIFE, LONGEST_REASON,
    Listed, MIRRORS_FORMAT, MOST_MIRRORS, MOST_REPORTED, Measurements, MirrorList, Proof, REMOVAL_FORMAT, REMOVAL_LIFE,
    Removal, RemovalWith, Report, Status, VOTE_FORMAT, ViewPair, Vote, removal_id, verify_wrapped,
};
