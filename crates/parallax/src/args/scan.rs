//! `scan`: many looks.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::{Args, ValueHint};
use parallax_node::{NodeLimits, Rate};

use super::{DataArgs, LookArgs, duration, flags};
use crate::failure::Failure;
use crate::settings::{self, Flag};

const AFTER_SCAN: &str = "\
Without a list it looks at everything that the node remembers. In a list, empty
lines and lines that begin with # are passed over, and what is named twice is
looked at once; of a service that is not known, only a look that met a
certificate is remembered. Services at one address wait for each other, and
hold up no others. Works beside a running node; `serve --scan-every` needs no
command at all.

Exit status:
  0  all were seen    1  some were not, or a line was wrong    2  wrong use

Examples:
  parallax scan --data /var/lib/parallax
  parallax scan --rate 50 services.txt";

/// Flags of `scan`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_SCAN)]
pub(crate) struct ScanArgs {
    /// The list, a service a line, such as example.com or host:port,2; - is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) list: Option<String>,

    /// Begin at most this many looks a second
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rate: u32,

    /// The time limit of one look, such as 20s
    #[arg(long, value_name = "TIME", default_value = "20s")]
    timeout: String,

    /// Looks a second at one address (IPv6: one /64) over all names, after 5 at once; off lifts it, for labs
    #[arg(long, value_name = "N|off", default_value = "1", value_parser = per_address)]
    per_address: PerAddress,

    /// Looks under way at once, at most
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = jobs)]
    pub(crate) jobs: usize,

    #[command(flatten)]
    data: DataArgs,

    /// Look at private addresses and at any port: for labs and intranets
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_private: Option<String>,

    #[command(flatten)]
    look: LookArgs,
}

/// `None` where one address may be looked at as often as all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PerAddress(Option<NonZeroU32>);

fn per_address(text: &str) -> Result<PerAddress, String> {
    let number = text.parse().ok().filter(|number: &NonZeroU32| number.get() <= 10_000);
    match number {
        Some(number) => Ok(PerAddress(Some(number))),
        None if text == "off" => Ok(PerAddress(None)),
        None => Err("the value must be 1 to 10000, or off".into()),
    }
}

fn jobs(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=1000).contains(number));
    number.ok_or_else(|| "the value must be 1 to 1000".into())
}

impl ScanArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let own = flags([(&settings::ALLOW_PRIVATE, &self.allow_private)]);
        [own, self.data.flags(), self.look.flags()].concat()
    }

    /// `--per-address`, with the burst that nodes allow.
    pub(crate) fn per_address(&self) -> Option<Rate> {
        let burst = NodeLimits::default().looks_per_target.burst;
        self.per_address.0.map(|per_second| Rate { per_second, burst })
    }

    /// `--timeout`.
    pub(crate) fn time_limit(&self) -> Result<Duration, Failure> {
        let limit = duration("--timeout", Some(&self.timeout))?.unwrap_or_default();
        match limit.is_zero() {
            true => Err(Failure::usage("--timeout: a look needs some time, such as 20s")),
            false => Ok(limit),
        }
    }
}
