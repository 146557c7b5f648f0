//! How a node certifies mailboxes.

use std::path::PathBuf;

use parallax_node::{Flow, JanusLimits, JanusSettings, MailRoute, SmtpRoute};

use super::layers::Layers;
use super::values::{ADay, Line, Secs};
use super::{SettingsError, keys};

/// What the configuration says of a janus. The password is not among it.
#[derive(Debug, PartialEq)]
pub(crate) struct JanusChoices {
    /// `None` while nobody has said where mails go.
    pub(crate) node: Option<JanusSettings>,
    /// Whether somebody has said whom mails are from.
    pub(crate) from_is_named: bool,
    /// Where the password is.
    pub(crate) password_file: Option<PathBuf>,
}

pub(super) fn resolve(layers: &mut Layers<'_>) -> Result<JanusChoices, SettingsError> {
    let mut mail: Option<MailRoute> = layers.pick_optional(&keys::JANUS_SMTP)?;
    let user = layers.pick_optional(&keys::JANUS_SMTP_USER)?.map(|Line(user)| user);
    let password_file = layers.pick_optional(&keys::JANUS_SMTP_PASSWORD_FILE)?;
    let roots = layers.pick_optional(&keys::JANUS_SMTP_ROOTS)?;
    if let Some(MailRoute::Smtp(smtp)) = &mut mail {
        *smtp = SmtpRoute { user, roots, ..smtp.clone() };
    }
    let from = layers.pick_optional(&keys::JANUS_FROM)?.map(|Line(from)| from);
    let flow = layers.pick(&keys::JANUS_FLOW, Flow::default())?;
    let default = JanusSettings::new(mail.clone().unwrap_or(MailRoute::Maildir(PathBuf::new())));
    let Secs(certificate_life) = layers.pick(&keys::JANUS_LIFE, Secs(default.certificate_life))?;
    let mut limit = |key, usual| layers.pick(key, ADay(usual)).map(|ADay(number)| number);
    let limits = JanusLimits {
        address_hour: limit(&keys::JANUS_ADDRESS_HOUR, default.limits.address_hour)?,
        address_day: limit(&keys::JANUS_ADDRESS_DAY, default.limits.address_day)?,
        network_hour: limit(&keys::JANUS_NETWORK_HOUR, default.limits.network_hour)?,
        overall_hour: limit(&keys::JANUS_OVERALL_HOUR, default.limits.overall_hour)?,
    };
    let from_is_named = from.is_some();
    let from = from.unwrap_or(default.from);
    let node = mail.map(|mail| JanusSettings { mail, from, flow, certificate_life, limits });
    Ok(JanusChoices { node, from_is_named, password_file })
}
