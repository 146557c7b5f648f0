//! One look at a service: resolve, judge the address, connect, shake hands, capture what is shown.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use parallax_probe::{ProbeSettings, Prober, TargetPolicy};
//!
//! let prober = Prober::new(ProbeSettings { targets: TargetPolicy::any(), ..Default::default() })?;
//! let look = prober.look(&"example.com".parse()?).await;
//! println!("{}", look.now.outcome.sentence());
//! # Ok(())
//! # }
//! ```

mod chain;
mod clock;
mod ct;
mod der;
mod dns;
mod names;
mod prober;
mod roots;
mod settings;
mod ssh;
mod starttls;
mod suite;
mod target;
mod tls;

pub use chain::{BadCaFile, BadChain, CaCertificate, ChainFacts, ca_certificates, judge_chain};
pub use clock::WallClock;
pub use ct::{BadLogList, BadSct, CtLogs, Logged, count_scts, judge_scts};
pub use names::registrable;
pub use prober::Prober;
pub use roots::Roots;
pub use settings::{Admission, Limits, ProbeError, ProbeSettings, Validation};
pub use suite::{AwsLc, SystemRandom, sha256};
pub use target::TargetPolicy;
