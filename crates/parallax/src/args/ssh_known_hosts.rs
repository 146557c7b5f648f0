//! `ssh-known-hosts`: for OpenSSH.

use clap::Args;

use super::{LookArgs, flags};
use crate::settings::{self, Flag};

const AFTER_SSH_KNOWN_HOSTS: &str = "\
In ~/.ssh/config, so that a first connection needs no blind yes:
  KnownHostsCommand /usr/bin/parallax ssh-known-hosts %H

Exit status:
  0  no key is distrusted; the keys that are trusted were printed, if any, and
     those that you accepted (`parallax accept`), with a line on standard error
  1  distrusted: nothing is printed, and ssh ends the connection
  2  the command line, the configuration or this machine is at fault

Examples:
  parallax ssh-known-hosts host.example
  parallax ssh-known-hosts '[host.example]:2222' >> ~/.ssh/known_hosts";

/// Flags of `ssh-known-hosts`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_SSH_KNOWN_HOSTS)]
pub(crate) struct SshKnownHostsArgs {
    #[arg(value_name = "HOST", help = "A host, or [host]:port, as ssh writes it for %H")]
    pub(crate) host: String,

    /// Ask this vantage point, https://HOST:PORT#ID, instead of the listed ones (repeatable)
    #[arg(long, value_name = "URL")]
    pub(crate) vantage: Vec<String>,

    /// Decide by this rule: evidence, majority, quorum, unanimous or mpic
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// How old a look may be that a vantage point agrees with, such as 0s: look now
    #[arg(long, value_name = "TIME")]
    max_age: Option<String>,

    #[command(flatten)]
    look: LookArgs,

    /// The time limit, such as 5s or 800ms
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
}

impl SshKnownHostsArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let own = flags([
            (&settings::POLICY, &self.policy),
            (&settings::MAX_AGE, &self.max_age),
            (&settings::TIMEOUT, &self.timeout),
        ]);
        [own, self.look.flags()].concat()
    }
}
