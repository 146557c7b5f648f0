//! What is said where a server does not begin TLS, or not with everybody (`docs/protocols/starttls.md`). It moves no word
//! and no decision: a look without a key speaks neither way, whatever kept it from one.

use crate::evidence::{Evidence, Testimony};
use crate::observation::{Observation, Starttls};

/// Why I met no key, where that is because the server would not begin TLS with me.
pub(super) fn no_key(evidence: &Evidence) -> Option<String> {
    let upgrade = missing_to_me(evidence)?;
    let asked = evidence.asked().len();
    let to_me = match evidence.local().now.starttls {
        Some(Starttls::Refused) => "refused to you",
        _ => "not offered to you",
    };
    let (offered, lacking) = (count(evidence, is_offered), count(evidence, Observation::lacks_upgrade));
    Some(match (offered, lacking) {
        (0, 0) => format!("{upgrade} is {to_me} by this server: there is no key to compare."),
        (0, lacking) => {
            let remembering = evidence.views().iter().filter(|view| remembers(view)).count();
            let before = match remembering {
                0 => String::new(),
                some => format!(" {some} of them met it with TLS before, so that has changed."),
            };
            format!(
                "The server offers {upgrade} to nobody: it is {to_me}, and not to {lacking} of {asked} asked.{before}"
            )
        }
        (offered, _) => format!("{upgrade} is {to_me}, but offered to {offered} of {asked} asked."),
    })
}

/// Whom it is missing to besides, where that is not said yet.
pub(super) fn others(evidence: &Evidence) -> Option<String> {
    let upgrade = evidence.service().scheme().upgrade()?;
    let (lacking, asked) = (count(evidence, Observation::lacks_upgrade), evidence.asked().len());
    match (missing_to_me(evidence), count(evidence, is_offered)) {
        _ if lacking == 0 => None,
        (Some(_), 0) => None,
        (Some(_), _) => Some(format!("{lacking} of {asked} asked are not offered {upgrade} either.")),
        (None, _) => Some(format!(
            "{lacking} of {asked} asked are not offered {upgrade} by this server: somebody on their way may take it out."
        )),
    }
}

fn missing_to_me(evidence: &Evidence) -> Option<&'static str> {
    evidence.service().scheme().upgrade().filter(|_| evidence.local().now.lacks_upgrade())
}

fn count(evidence: &Evidence, what: impl Fn(&Observation) -> bool) -> usize {
    evidence.views().iter().filter(|view| what(&view.look.now)).count()
}

/// Older vantage points say nothing of the upgrade, but there is no certificate without.
fn is_offered(look: &Observation) -> bool {
    look.starttls == Some(Starttls::Offered) || look.met.is_some()
}

fn remembers(view: &Testimony) -> bool {
    view.look.now.lacks_upgrade() && !view.history.spans.is_empty()
}
