//! What an operator may change about how a node certifies mailboxes.

use std::time::Duration;

use parallax_janus::{LONGEST_LIFE, Limits, Mailbox, SHORTEST_LIFE};

use super::route::MailRoute;
use crate::error::NodeError;

/// How a node of the role `janus` works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JanusSettings {
    /// Where mails go.
    pub mail: MailRoute,
    /// Whom mails are from: an address whose owner reads what comes back.
    pub from: String,
    /// Whether the mailbox is proved before or after a certificate is made.
    pub flow: Flow,
    /// How long a certificate lives, 24 h to 7 days. Default 7 days.
    pub certificate_life: Duration,
    /// How many orders are taken, and how many mails go out.
    pub limits: Limits,
}

/// Whether the mailbox is proved before or after a certificate is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Before: what was mailed has to be answered by the key that asked.
    #[default]
    Proof,
    /// The literal flow of LEP 008: whoever reads the mail has the certificate. It lives for 24 h.
    Classic,
}

impl JanusSettings {
    /// The default settings, with mails that go there.
    pub fn new(mail: MailRoute) -> Self {
        Self {
            mail,
            from: "janus@parallax.invalid".into(),
            flow: Flow::default(),
            certificate_life: LONGEST_LIFE,
            limits: Limits::default(),
        }
    }

    /// Refuses what would make an authority that nobody can use.
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        let bad = |field, why: String| Err(NodeError::Setting { field, why });
        if let Err(why) = self.from.parse::<Mailbox>() {
            return bad("janus.from", why.to_string());
        }
        if !(SHORTEST_LIFE..=LONGEST_LIFE).contains(&self.certificate_life) {
            return bad("janus.certificate_life", "24h to 7d".into());
        }
        let Limits { address_hour, address_day, network_hour, overall_hour } = self.limits;
        if [address_hour, address_day, network_hour, overall_hour].contains(&0) {
            return bad("janus.limits", "each at least 1".into());
        }
        // The times of so many are kept in memory.
        if address_day > 1_000 || network_hour > 100_000 || overall_hour > 100_000 {
            return bad(
                "janus.limits",
                "1000 a day for an address, 100000 an hour for a network and in all at most".into(),
            );
        }
        self.mail.check().map_err(|why| NodeError::Setting { field: "janus.smtp", why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_is_named() {
        let default = JanusSettings::new("maildir:/tmp/mail".parse().unwrap());
        default.check().unwrap();
        for (field, settings) in [
            ("janus.from", JanusSettings { from: "Janus <janus@example.com>".into(), ..default.clone() }),
            (
                "janus.certificate_life",
                JanusSettings { certificate_life: Duration::from_secs(3600), ..default.clone() },
            ),
            (
                "janus.limits",
                JanusSettings { limits: Limits { overall_hour: 0, ..Limits::default() }, ..default.clone() },
            ),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with(field), "{field}: {error}");
        }
    }
}
