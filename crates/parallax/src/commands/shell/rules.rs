//! What decides about a request: what the request says, what was set in this session, and all that decides elsewhere.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use parallax_core::{DnsName, Policy};

use super::words::{KEYS, Setting};
use crate::failure::Failure;
use crate::settings::{self, CheckSettings, File, Flag, Key, Origin, Settings};

/// What this shell decides by where nobody names a policy: Panorama's rule.
const USUAL: &str = "majority";

/// The layers of a session. What was set in it goes before the command line, as what is typed later.
pub(super) struct Rules {
    file: File,
    flags: Vec<Flag>,
    set: BTreeMap<&'static str, String>,
    set_for: BTreeMap<DnsName, BTreeMap<&'static str, String>>,
}

/// What decides about a host.
pub(super) struct Rule {
    pub(super) check: CheckSettings,
    /// Where the value of each of [`KEYS`] comes from.
    origins: Vec<(&'static Key, String)>,
}

impl Rules {
    /// What the command line, the environment and the file say; and all the settings that go with it.
    pub(super) fn load(config: Option<&Path>, flags: Vec<Flag>) -> Result<(Self, Settings), Failure> {
        let env = |name: &str| std::env::var_os(name);
        let file = settings::read_file(config, &env).map_err(Failure::usage)?;
        let settings = Settings::resolve(USUAL, &flags, &env, &file).map_err(Failure::usage)?;
        Ok((Self { file, flags, set: BTreeMap::new(), set_for: BTreeMap::new() }, settings))
    }

    /// Sets a value for this session, or takes it back.
    pub(super) fn set(&mut self, setting: Setting) {
        let values = match setting.domain {
            Some(domain) => self.set_for.entry(domain).or_default(),
            None => &mut self.set,
        };
        match setting.value {
            Some(value) => drop(values.insert(setting.key.path, value)),
            None => drop(values.remove(setting.key.path)),
        }
        self.set_for.retain(|_, values| !values.is_empty());
    }

    /// What was set in this session: for whom, which, how.
    pub(super) fn shown(&self) -> Vec<(Option<&DnsName>, &'static str, &str)> {
        let all = std::iter::once((None, &self.set));
        let domains = self.set_for.iter().map(|(domain, values)| (Some(domain), values));
        let name = |path: &str| KEYS.iter().find(|(_, key)| key.path == path).map_or("", |(name, _)| *name);
        all.chain(domains)
            .flat_map(|(domain, values)| values.iter().map(move |(path, value)| (domain, name(path), value.as_str())))
            .collect()
    }

    /// What decides about this host, of which the request says `asked`.
    pub(super) fn of(&self, host: &str, asked: &[Flag]) -> Result<Rule, String> {
        let env = |name: &str| self.layer(host, name).or_else(|| std::env::var_os(name));
        let settings = Settings::resolve(USUAL, asked, &env, &self.file);
        let settings = settings.map_err(|why| as_typed(&why.to_string()))?;
        let check = settings.check_of_one(host).map_err(|why| as_typed(&why.to_string()))?.clone();
        let origins = KEYS.iter().map(|(_, key)| (*key, self.origin(&settings, host, key))).collect();
        Ok(Rule { check, origins })
    }

    /// What was set for the host, for all, or said on the command line: it goes before the environment.
    fn layer(&self, host: &str, variable: &str) -> Option<OsString> {
        let key = KEYS.iter().map(|(_, key)| *key).find(|key| key.variable == variable);
        let set = key.and_then(|key| self.was_set(host, key)).map(OsString::from);
        let flagged = || self.flags.iter().rev().find(|(key, _)| key.variable == variable);
        set.or_else(|| flagged().map(|(_, text)| text.into()))
    }

    /// Of several domains the longest wins.
    fn was_set(&self, host: &str, key: &Key) -> Option<&String> {
        let mut above: Vec<_> = self.set_for.iter().filter(|(domain, _)| settings::is_within(host, domain)).collect();
        above.sort_by_key(|(domain, _)| std::cmp::Reverse(domain.as_str().len()));
        above.into_iter().find_map(|(_, values)| values.get(key.path)).or_else(|| self.set.get(key.path))
    }

    fn origin(&self, settings: &Settings, host: &str, key: &'static Key) -> String {
        if self.was_set(host, key).is_some() {
            return "set here".into();
        }
        if self.flags.iter().any(|(flagged, _)| *flagged == key) {
            return key.flag.into();
        }
        match settings.origin_of(host, key) {
            Some(Origin::Default) | None => "default".into(),
            Some(origin) => origin.to_string(),
        }
    }
}

/// In this shell the words have no dashes before them.
fn as_typed(why: &str) -> String {
    why.strip_prefix("--").unwrap_or(why).to_owned()
}

impl Rule {
    /// Each thing that decides: its name, its value, and where that comes from.
    pub(super) fn shown(&self) -> Vec<(&'static str, String, &str)> {
        let mut shown = vec![("policy", self.check.policy.name().to_owned(), self.origin(&settings::POLICY))];
        let replies = self.check.replies.map_or_else(|| "all are asked".into(), |replies| replies.to_string());
        shown.push(("replies", replies, self.origin(&settings::REPLIES)));
        match &self.check.policy {
            Policy::Majority { threshold, min_views } => {
                shown.push(("threshold", threshold.to_string(), self.origin(&settings::THRESHOLD)));
                shown.push(("min-views", min_views.to_string(), self.origin(&settings::MIN_VIEWS)));
            }
            Policy::Quorum { threshold, .. } => {
                shown.push(("threshold", threshold.to_string(), self.origin(&settings::THRESHOLD)));
            }
            _ => {}
        }
        shown
    }

    /// Why nothing can come of a request, where it asks for fewer than the policy wants.
    pub(super) fn asks_too_few(&self) -> Option<String> {
        let Policy::Majority { min_views, .. } = self.check.policy else { return None };
        let replies = self.check.replies.filter(|replies| *replies < min_views)?;
        Some(format!(
            "{replies} asked can decide nothing, as {min_views} looks are wanted at least; ask for more, or write: set \
             min-views {replies}"
        ))
    }

    fn origin(&self, key: &Key) -> &str {
        self.origins.iter().find(|(known, _)| *known == key).map_or("default", |(_, origin)| origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::shell::words::{self, Order};

    fn rules(file: &str, flags: &[Flag]) -> Rules {
        let file = File::parse(Path::new("/c.toml"), file).unwrap();
        Rules { file, flags: flags.to_vec(), set: BTreeMap::new(), set_for: BTreeMap::new() }
    }

    fn set(rules: &mut Rules, line: &str) {
        let Ok(Some(Order::Set(setting))) = words::parse(line) else { panic!("{line}") };
        rules.set(setting);
    }

    /// `policy replies threshold` with where each comes from.
    fn shown(rules: &Rules, host: &str) -> String {
        let rule = rules.of(host, &[]).unwrap();
        let words: Vec<_> =
            rule.shown().iter().take(3).map(|(_, value, origin)| format!("{value} ({origin})")).collect();
        words.join(", ")
    }

    #[test]
    fn what_is_typed_later_wins() {
        let flags = [(&settings::REPLIES, "6".to_string())];
        let file = "[check.domains.\"example.com\"]\nreplies = 9\nthreshold = 0.9";
        let mut rules = rules(file, &flags);
        assert_eq!(shown(&rules, "a.example"), "majority (default), 6 (--replies), 0.5 (default)");
        assert_eq!(shown(&rules, "example.com"), "majority (default), 6 (--replies), 0.9 (/c.toml line 3)");
        set(&mut rules, "set replies 7");
        set(&mut rules, "set replies 8 for example.com");
        set(&mut rules, "set replies 9 for mail.example.com");
        assert_eq!(shown(&rules, "a.example"), "majority (default), 7 (set here), 0.5 (default)");
        assert_eq!(shown(&rules, "www.example.com"), "majority (default), 8 (set here), 0.9 (/c.toml line 3)");
        assert_eq!(shown(&rules, "a.mail.example.com"), "majority (default), 9 (set here), 0.9 (/c.toml line 3)");
        let asked = [(&settings::REPLIES, "20".to_string()), (&settings::THRESHOLD, "0.7".to_string())];
        let rule = rules.of("www.example.com", &asked).unwrap();
        assert_eq!(rule.check.replies, Some(20));
        assert!(matches!(rule.check.policy, Policy::Majority { threshold, .. } if threshold.value() == 0.7));
        set(&mut rules, "set replies default for example.com");
        set(&mut rules, "set replies default");
        assert_eq!(shown(&rules, "www.example.com"), "majority (default), 6 (--replies), 0.9 (/c.toml line 3)");
        assert_eq!(rules.shown().len(), 1);
    }

    #[test]
    fn a_threshold_waits_for_its_policy_when_set_and_is_refused_when_asked_for() {
        let mut rules = rules("", &[]);
        set(&mut rules, "set threshold 0.9");
        set(&mut rules, "policy unanimous");
        assert_eq!(shown(&rules, "a.example"), "unanimous (set here), all are asked (default)");
        let why = rules.of("a.example", &[(&settings::THRESHOLD, "0.7".into())]).err().unwrap();
        assert_eq!(why, "threshold has no meaning under the policy unanimous; it belongs to majority and quorum");
        set(&mut rules, "policy quorum");
        assert_eq!(shown(&rules, "a.example"), "quorum (set here), all are asked (default), 0.9 (set here)");
    }

    #[test]
    fn who_asks_too_few_hears_it_before() {
        let mut rules = rules("", &[]);
        set(&mut rules, "set replies 2");
        assert!(rules.of("a.example", &[]).unwrap().asks_too_few().unwrap().ends_with("set min-views 2"));
        set(&mut rules, "set min-views 1");
        assert_eq!(rules.of("a.example", &[]).unwrap().asks_too_few(), None);
    }
}
