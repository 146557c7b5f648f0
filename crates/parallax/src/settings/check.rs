//! How a check decides: for all, and for the domains that the file gives values of their own.

use std::time::Duration;

use parallax_core::{DnsName, Policy, Share};
use parallax_proto::DEFAULT_MAX_AGE;

use super::SettingsError;
use super::file::{File, Raw};
use super::keys::{self, Key};
use super::layers::{Flag, Layers, Origin, Shown, is_within};
use super::paths::Environment;
use super::values::{Millis, PolicyName, Secs, Value as _};

/// The whole check, when nobody says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Fewer looks than this decide nothing under `majority`.
const DEFAULT_MIN_VIEWS: usize = 3;

/// So many are asked under `majority`, as Panorama did.
const MAJORITY_REPLIES: usize = 5;

/// How a check decides.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CheckSettings {
    /// The rule.
    pub(crate) policy: Policy,
    /// How many of the vantage points are asked, drawn at random; `None` asks all.
    pub(crate) replies: Option<usize>,
    /// The whole check.
    pub(crate) timeout: Duration,
    /// How old a look may be that a vantage point answers with, where it agrees.
    pub(crate) max_age: Duration,
    /// Whether hubs are told private names and addresses.
    pub(crate) tell_private: bool,
}

/// What the file says of one domain.
#[derive(Debug)]
pub(crate) struct DomainSettings {
    /// Which; what lies below it is meant too.
    pub(crate) domain: DnsName,
    /// How a check of it decides.
    pub(crate) check: CheckSettings,
    /// Each key as it is in force for it.
    resolved: Vec<Shown>,
    /// Those that the file gives this very domain.
    own: Vec<&'static Key>,
}

impl DomainSettings {
    /// Each key that the file gives it, as it is in force.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Shown> {
        self.resolved.iter().filter(|shown| self.own.contains(&shown.key))
    }

    /// Where the value of a key comes from.
    pub(super) fn origin_of(&self, key: &Key) -> Option<&Origin> {
        origin_of(&self.resolved, key)
    }
}

/// Where the value of a key comes from, of all that were resolved.
pub(super) fn origin_of<'a>(resolved: &'a [Shown], key: &Key) -> Option<&'a Origin> {
    resolved.iter().find(|shown| shown.key == key).map(|shown| &shown.origin)
}

/// Resolves what goes for every name. `usual` is the policy when nobody names one.
pub(super) fn resolve(layers: &mut Layers<'_>, usual: &'static str) -> Result<CheckSettings, SettingsError> {
    let name: PolicyName = layers.pick(&keys::POLICY, PolicyName(usual))?;
    let replies = layers.pick_optional(&keys::REPLIES)?;
    let threshold = layers.pick_optional(&keys::THRESHOLD)?;
    let Secs(min_duration) = layers.pick(&keys::MIN_DURATION, Secs(Duration::ZERO))?;
    let min_views = layers.pick(&keys::MIN_VIEWS, DEFAULT_MIN_VIEWS)?;
    let Millis(timeout) = layers.pick(&keys::TIMEOUT, Millis(DEFAULT_TIMEOUT))?;
    let Secs(max_age) = layers.pick(&keys::MAX_AGE, Secs(DEFAULT_MAX_AGE))?;
    let accept_private = layers.pick(&keys::ACCEPT_PRIVATE, false)?;
    let tell_private = layers.pick(&keys::TELL_PRIVATE, false)?;
    let policy = tune(Policy::named(name.0).unwrap_or_default(), threshold, min_duration, min_views, accept_private);
    let replies = replies.or(usual_replies(&policy));
    Ok(CheckSettings { policy, replies, timeout, max_age, tell_private })
}

/// Resolves what goes for the domains that the file names.
pub(super) fn resolve_domains(
    flags: &[Flag],
    env: Environment<'_>,
    file: &File,
    usual: &'static str,
) -> Result<Vec<DomainSettings>, SettingsError> {
    let resolve = |domain: &DnsName| {
        let mut layers = Layers::of_domain(flags, env, file, domain);
        let check = resolve(&mut layers, usual)?;
        let own = keys::OF_DOMAINS.into_iter().filter(|key| file.value_for(domain, key).is_some()).collect();
        Ok(DomainSettings { domain: domain.clone(), check, resolved: layers.into_shown(), own })
    };
    file.domains().map(resolve).collect()
}

/// The domain whose values go for this name: the longest that it is or lies below.
pub(super) fn nearest<'a>(domains: &'a [DomainSettings], name: &str) -> Option<&'a DomainSettings> {
    let above = domains.iter().filter(|known| is_within(name, &known.domain));
    above.max_by_key(|known| known.domain.as_str().len())
}

fn tune(
    policy: Policy,
    share: Option<Share>,
    min_duration: Duration,
    min_views: usize,
    accept_private: bool,
) -> Policy {
    match policy {
        Policy::Evidence { .. } => Policy::Evidence { accept_private },
        Policy::Majority { threshold, .. } => Policy::Majority { threshold: share.unwrap_or(threshold), min_views },
        Policy::Quorum { threshold, .. } => Policy::Quorum { threshold: share.unwrap_or(threshold), min_duration },
        policy @ (Policy::Unanimous | Policy::Mpic) => policy,
    }
}

/// How many are asked when nobody says; `None` is all.
fn usual_replies(policy: &Policy) -> Option<usize> {
    matches!(policy, Policy::Majority { .. }).then_some(MAJORITY_REPLIES)
}

/// A key that changes nothing under some policies, and those to which it belongs.
const OF_POLICIES: [(&Key, &str); 4] = [
    (&keys::THRESHOLD, "majority and quorum"),
    (&keys::MIN_DURATION, "quorum"),
    (&keys::MIN_VIEWS, "majority"),
    (&keys::ACCEPT_PRIVATE, "evidence"),
];

/// A flag that changes nothing under any of the policies is a misunderstanding; in file and environment it waits for its
/// policy. The first policy is the one that is named.
pub(super) fn refuse_stray_flags(policies: &[&Policy], flags: &[Flag]) -> Result<(), SettingsError> {
    for (key, belongs) in OF_POLICIES {
        let fits = policies.iter().any(|policy| belongs.split(" and ").any(|name| name == policy.name()));
        if !fits && flags.iter().any(|(flagged, _)| *flagged == key) {
            let policy = policies.first().map_or("", |policy| policy.name());
            return Err(SettingsError::NotOfPolicy { flag: key.flag, policy, belongs });
        }
    }
    Ok(())
}

/// A value of a key that makes the rule, in its one spelling.
pub(crate) fn canonical(key: &Key, text: &str) -> Result<String, String> {
    let raw = Raw::Text(text.into());
    match key {
        key if *key == keys::POLICY => PolicyName::read(&raw).map(|PolicyName(name)| name.to_owned()),
        key if *key == keys::THRESHOLD => Share::read(&raw).map(|share| share.write()),
        _ => usize::read(&raw).map(|number| number.to_string()),
    }
}
