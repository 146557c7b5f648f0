//! For whom a command acts.

use clap::{Args, ValueHint};

use crate::settings::{self, Flag};

/// For whom a command acts at hubs.
#[derive(Debug, Args)]
pub(crate) struct ActingArgs {
    /// Act for this mailbox of yours (see `parallax id`); hubs are told it, and count by your edges of trust
    #[arg(long, value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    id: Option<String>,

    /// Act for nobody, whatever id.mailbox of the configuration says
    #[arg(long, conflicts_with = "id")]
    no_id: bool,
}

impl ActingArgs {
    /// What it says of keys.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let nobody = self.no_id.then(|| settings::NOBODY.to_owned());
        let said = self.id.clone().or(nobody);
        said.into_iter().map(|said| (&settings::ID_MAILBOX, said)).collect()
    }
}
