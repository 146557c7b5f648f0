//! What each kind of key may hold, read from a flag, a variable or the file, and written as TOML.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use parallax_client::{Mailbox, QueueUrl, VantageUrl};
use parallax_core::{Policy, ServiceId, Share};
use parallax_node::{BadRoute, Flow, MailRoute};
use parallax_proto::{RIRS, is_region};

use super::duration;
use super::file::Raw;
use crate::output::quote_toml;

/// A value that a key may hold.
pub(crate) trait Value: Sized {
    /// Reads it; the error says what is wrong and what would be right.
    fn read(raw: &Raw) -> Result<Self, String>;

    /// Writes it as TOML.
    fn write(&self) -> String;
}

fn text<'a>(raw: &'a Raw, wanted: &str) -> Result<&'a str, String> {
    match raw {
        Raw::Text(text) => Ok(text),
        _ => Err(format!("the value must be text in quotes: {wanted}")),
    }
}

impl Value for bool {
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Bool(value) => Ok(*value),
            Raw::Text(text) if text == "true" => Ok(true),
            Raw::Text(text) if text == "false" => Ok(false),
            _ => Err("the value must be true or false".into()),
        }
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// A number of vantage points, 1 to 1000.
impl Value for usize {
    fn read(raw: &Raw) -> Result<Self, String> {
        let number = match raw {
            Raw::Integer(number) => usize::try_from(*number).ok(),
            Raw::Text(text) => text.parse().ok(),
            _ => None,
        };
        number.filter(|number| (1..=1000).contains(number)).ok_or_else(|| "the value must be 1 to 1000".into())
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Value for Share {
    fn read(raw: &Raw) -> Result<Self, String> {
        let number = match raw {
            Raw::Integer(number) => Some(*number as f64),
            Raw::Float(number) => Some(*number),
            Raw::Text(text) => text.parse().ok(),
            _ => None,
        };
        let share = number.and_then(|number| Share::new(number).ok());
        share.ok_or_else(|| "the value must be a share between 0 and 1, such as 0.75".into())
    }

    fn write(&self) -> String {
        // `{:?}` keeps the point: TOML tells 1.0 and 1 apart.
        format!("{:?}", self.value())
    }
}

/// A name of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PolicyName(pub(crate) &'static str);

impl Value for PolicyName {
    fn read(raw: &Raw) -> Result<Self, String> {
        let names = Policy::NAMES;
        let given = text(raw, "the name of a policy")?;
        let found = names.into_iter().find(|name| *name == given).map(PolicyName);
        found.ok_or_else(|| format!("{given:?} is not a policy; there are {}", names.join(", ")))
    }

    fn write(&self) -> String {
        quote_toml(self.0)
    }
}

/// A duration whose key ends in `_ms`: a number of milliseconds in the file, `300ms` or `5s` elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Millis(pub(crate) Duration);

impl Value for Millis {
    fn read(raw: &Raw) -> Result<Self, String> {
        let duration = match raw {
            Raw::Integer(ms) => u64::try_from(*ms).map(Duration::from_millis).map_err(|_| LATER.to_string()),
            Raw::Text(text) => duration::parse(text),
            _ => Err("the value must be a number of milliseconds, or text such as \"5s\"".into()),
        }?;
        // Shorter than any handshake, or longer than anybody waits: most likely a slip of units.
        let bounds = Duration::from_millis(10)..=Duration::from_secs(600);
        if bounds.contains(&duration) { Ok(Self(duration)) } else { Err(LATER.into()) }
    }

    fn write(&self) -> String {
        self.0.as_millis().to_string()
    }
}

const LATER: &str = "the time limit must lie between 10ms and 10m";

/// A duration whose key ends in `_secs`: a number of seconds in the file, `12h` or `2d` elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Secs(pub(crate) Duration);

impl Value for Secs {
    fn read(raw: &Raw) -> Result<Self, String> {
        let duration = match raw {
            Raw::Integer(secs) => {
                let secs = u32::try_from(*secs).map_err(|_| "the value must be a number of seconds".to_string())?;
                Duration::from_secs(u64::from(secs))
            }
            Raw::Text(text) => duration::parse(text)?,
            _ => return Err("the value must be a number of seconds, or text such as \"2d\"".into()),
        };
        match duration.subsec_nanos() {
            0 => Ok(Self(duration)),
            _ => Err("the value must be whole seconds, such as 60s or 2d".into()),
        }
    }

    fn write(&self) -> String {
        self.0.as_secs().to_string()
    }
}

/// How many a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ADay(pub(crate) u32);

impl Value for ADay {
    fn read(raw: &Raw) -> Result<Self, String> {
        let number = match raw {
            Raw::Integer(number) => u32::try_from(*number).ok(),
            Raw::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (1..=1_000_000).contains(number));
        number.map(Self).ok_or_else(|| "the value must be 1 to 1000000".to_string())
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

/// What counts as a day: a real one, or less in a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day(pub(crate) Duration);

impl Value for Day {
    fn read(raw: &Raw) -> Result<Self, String> {
        let Secs(day) = Secs::read(raw)?;
        let fits = (1..=86_400).contains(&day.as_secs());
        fits.then_some(Self(day)).ok_or_else(|| "a day has 86400 seconds, in a lab 1 at least".to_string())
    }

    fn write(&self) -> String {
        Secs(self.0).write()
    }
}

impl Value for SocketAddr {
    fn read(raw: &Raw) -> Result<Self, String> {
        let given = text(raw, "an address and a port, such as \"192.0.2.53:53\"")?;
        given.parse().map_err(|_| {
            format!("{given:?} is not an address and a port; write IP:PORT, such as 192.0.2.53:53 or [2001:db8::1]:53")
        })
    }

    fn write(&self) -> String {
        quote_toml(&self.to_string())
    }
}

impl Value for IpAddr {
    fn read(raw: &Raw) -> Result<Self, String> {
        let given = text(raw, "an address, such as \"192.0.2.7\"")?;
        given.parse().map_err(|_| format!("{given:?} is not an address; write one such as 192.0.2.7 or 2001:db8::1"))
    }

    fn write(&self) -> String {
        quote_toml(&self.to_string())
    }
}

impl Value for PathBuf {
    fn read(raw: &Raw) -> Result<Self, String> {
        match text(raw, "a path")? {
            "" => Err("the path is empty".into()),
            path => Ok(path.into()),
        }
    }

    fn write(&self) -> String {
        quote_toml(&self.to_string_lossy())
    }
}

/// The roots that count as public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootsChoice {
    /// Those that Mozilla ships.
    Public,
    /// Nobody is public.
    None,
    /// The certificates of a PEM file.
    File(PathBuf),
}

impl Value for RootsChoice {
    fn read(raw: &Raw) -> Result<Self, String> {
        match text(raw, "public, none, or a PEM file")? {
            "" => Err("the value must be public, none, or a PEM file".into()),
            "public" => Ok(Self::Public),
            "none" => Ok(Self::None),
            path => Ok(Self::File(path.into())),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Public => quote_toml("public"),
            Self::None => quote_toml("none"),
            Self::File(path) => path.write(),
        }
    }
}

/// Whether DNS answers that authorise keys are validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DnssecChoice {
    /// No.
    Off,
    /// Up to the keys of the DNS root.
    Root,
    /// Up to the DNSKEY records in a file.
    File(PathBuf),
}

impl Value for DnssecChoice {
    fn read(raw: &Raw) -> Result<Self, String> {
        match text(raw, "off, root, or a file of DNSKEY records")? {
            "" => Err("the value must be off, root, or a file of DNSKEY records".into()),
            "off" => Ok(Self::Off),
            "root" => Ok(Self::Root),
            path => Ok(Self::File(path.into())),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Off => quote_toml("off"),
            Self::Root => quote_toml("root"),
            Self::File(path) => path.write(),
        }
    }
}

/// Something that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch(pub(crate) bool);

impl Value for Switch {
    fn read(raw: &Raw) -> Result<Self, String> {
        match text(raw, "on or off")? {
            "on" => Ok(Self(true)),
            "off" => Ok(Self(false)),
            _ => Err("the value must be on or off".into()),
        }
    }

    fn write(&self) -> String {
        quote_toml(if self.0 { "on" } else { "off" })
    }
}

/// The ports that a node looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// Those where TLS, STARTTLS and SSH are at home.
    Home,
    /// All.
    Any,
    /// These.
    Listed(Vec<u16>),
}

impl Value for Ports {
    fn read(raw: &Raw) -> Result<Self, String> {
        let bad = || "the value must be \"home\", \"any\" or a list of ports such as [443, 8443]".to_string();
        let ports: Option<Vec<u16>> = match raw {
            Raw::Text(text) if text == "home" => return Ok(Self::Home),
            Raw::Text(text) if text == "any" => return Ok(Self::Any),
            Raw::Text(text) => text.split(',').map(|port| port.trim().parse().ok()).collect(),
            Raw::List(values) => values
                .iter()
                .map(|value| match value {
                    Raw::Integer(port) => u16::try_from(*port).ok(),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        ports.filter(|ports| !ports.is_empty() && !ports.contains(&0)).map(Self::Listed).ok_or_else(bad)
    }

    fn write(&self) -> String {
        match self {
            Self::Home => quote_toml("home"),
            Self::Any => quote_toml("any"),
            Self::Listed(ports) => format!("{ports:?}"),
        }
    }
}

/// The URLs that a node's descriptor announces, at most 8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses(pub(crate) Vec<String>);

impl Value for Addresses {
    fn read(raw: &Raw) -> Result<Self, String> {
        let bad = || "the value must be a list of at most 8 URLs such as [\"https://node.example:8443\"]".to_string();
        let urls: Option<Vec<String>> = match raw {
            Raw::Text(text) => Some(text.split(',').map(|url| url.trim().to_owned()).collect()),
            Raw::List(values) => values
                .iter()
                .map(|value| match value {
                    Raw::Text(url) => Some(url.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        let is_url = |url: &String| url.parse::<VantageUrl>().is_ok_and(|url| url.pin().is_none());
        urls.filter(|urls| urls.len() <= 8 && urls.iter().all(is_url)).map(Self).ok_or_else(bad)
    }

    fn write(&self) -> String {
        format!("[{}]", self.0.iter().map(|url| quote_toml(url)).collect::<Vec<_>>().join(", "))
    }
}

/// A node by its URL, with the pin that says who it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pinned(pub(crate) VantageUrl);

impl Value for Pinned {
    fn read(raw: &Raw) -> Result<Self, String> {
        let given = text(raw, "https://HOST:PORT#VANTAGE-ID")?;
        let url: VantageUrl = given.parse().map_err(|why: parallax_client::BadVantageUrl| why.to_string())?;
        match url.pin() {
            Some(_) => Ok(Self(url)),
            None => Err(format!("{url} has no pin; add #VANTAGE-ID (the node prints its id when it starts)")),
        }
    }

    fn write(&self) -> String {
        quote_toml(&self.0.to_string())
    }
}

/// Nodes by their URLs with their pins, at most 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Believed(pub(crate) Vec<VantageUrl>);

impl Value for Believed {
    fn read(raw: &Raw) -> Result<Self, String> {
        let wanted = || "the value must be a list of nodes such as [\"https://192.0.2.7:8443#VANTAGE-ID\"]".to_owned();
        let given: Vec<Raw> = match raw {
            Raw::Text(text) => text.split(',').map(|url| Raw::Text(url.trim().into())).collect(),
            Raw::List(values) => values.clone(),
            _ => return Err(wanted()),
        };
        let nodes = given.iter().map(|one| Pinned::read(one).map(|Pinned(url)| url)).collect::<Result<Vec<_>, _>>()?;
        match nodes.len() {
            0..=4 => Ok(Self(nodes)),
            more => Err(format!("4 nodes can be believed at once, not {more}")),
        }
    }

    fn write(&self) -> String {
        format!("[{}]", self.0.iter().map(|url| quote_toml(&url.to_string())).collect::<Vec<_>>().join(", "))
    }
}

/// The mailbox that is acted for, or nobody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActsFor(pub(crate) Option<Mailbox>);

/// Whoever acts for nobody says so with this.
pub(crate) const NOBODY: &str = "none";

impl Value for ActsFor {
    fn read(raw: &Raw) -> Result<Self, String> {
        match text(raw, "a mailbox such as \"ann@example.com\", or \"none\"")? {
            NOBODY => Ok(Self(None)),
            typed => Mailbox::from_typed(typed).map(|mailbox| Self(Some(mailbox))).map_err(|why| why.to_string()),
        }
    }

    fn write(&self) -> String {
        quote_toml(self.0.as_ref().map_or(NOBODY, Mailbox::as_str))
    }
}

/// What a node is besides a notary and a mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    /// Peers attach to it, and others ask them through it.
    pub(crate) hub: bool,
    /// It certifies mailboxes.
    pub(crate) janus: bool,
}

impl Value for Roles {
    fn read(raw: &Raw) -> Result<Self, String> {
        let names: Option<Vec<String>> = match raw {
            Raw::Text(text) => Some(text.split(',').map(|name| name.trim().to_owned()).collect()),
            Raw::List(values) => values
                .iter()
                .map(|value| match value {
                    Raw::Text(name) => Some(name.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        let mut roles = Roles::default();
        for name in names.ok_or("the value must be a list of roles such as [\"hub\"]")? {
            match name.as_str() {
                "hub" => roles.hub = true,
                "janus" => roles.janus = true,
                // Every node is both.
                "notary" | "mirror" => {}
                other => {
                    return Err(format!("there is no role {other:?}; the roles are hub, janus, mirror and notary"));
                }
            }
        }
        Ok(roles)
    }

    fn write(&self) -> String {
        let named = [("\"hub\"", self.hub), ("\"janus\"", self.janus)];
        let on: Vec<_> = named.into_iter().filter_map(|(name, on)| on.then_some(name)).collect();
        format!("[{}]", on.join(", "))
    }
}

/// Where mails of a janus go.
impl Value for MailRoute {
    fn read(raw: &Raw) -> Result<Self, String> {
        let route = text(raw, "where mails go, such as \"smtp://mail.example.com\"")?.parse();
        route.map_err(|why: BadRoute| why.to_string())
    }

    fn write(&self) -> String {
        quote_toml(&self.to_string())
    }
}

/// Whether a mailbox is proved before a certificate is made.
impl Value for Flow {
    fn read(raw: &Raw) -> Result<Self, String> {
        match text(raw, "proof or classic")? {
            "proof" => Ok(Self::Proof),
            "classic" => Ok(Self::Classic),
            _ => Err("the value must be proof or classic".into()),
        }
    }

    fn write(&self) -> String {
        quote_toml(if *self == Self::Proof { "proof" } else { "classic" })
    }
}

/// The services that everybody visits, at most 1000, each with a DNS name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Popular(pub(crate) Vec<ServiceId>);

impl Value for Popular {
    fn read(raw: &Raw) -> Result<Self, String> {
        let bad = || "the value must be a list of at most 1000 services such as [\"example.com\"]".to_string();
        let read = |text: &str| text.trim().parse::<ServiceId>().ok().filter(|service| service.host().name().is_some());
        let services: Option<Vec<ServiceId>> = match raw {
            Raw::Text(text) => text.split(',').map(read).collect(),
            Raw::List(values) => values
                .iter()
                .map(|value| match value {
                    Raw::Text(text) => read(text),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        services.filter(|services| services.len() <= 1000).map(Self).ok_or_else(bad)
    }

    fn write(&self) -> String {
        format!("[{}]", self.0.iter().map(|service| quote_toml(&service.to_string())).collect::<Vec<_>>().join(", "))
    }
}

/// A region code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region(pub(crate) String);

impl Value for Region {
    fn read(raw: &Raw) -> Result<Self, String> {
        let given = text(raw, "a region such as \"eu-west\"")?;
        let bad = || format!("{given:?} is not a region; write 1 to 32 lower-case letters, digits and hyphens");
        if is_region(given) { Ok(Self(given.into())) } else { Err(bad()) }
    }

    fn write(&self) -> String {
        quote_toml(&self.0)
    }
}

/// A regional Internet registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registry(pub(crate) &'static str);

impl Value for Registry {
    fn read(raw: &Raw) -> Result<Self, String> {
        let given = text(raw, "a regional Internet registry such as \"RIPE\"")?;
        let found = RIRS.into_iter().find(|rir| rir.eq_ignore_ascii_case(given)).map(Registry);
        found.ok_or_else(|| format!("{given:?} is not a regional Internet registry; there are {}", RIRS.join(", ")))
    }

    fn write(&self) -> String {
        quote_toml(self.0)
    }
}

/// A message queue. What is shown of it holds no credentials, so it is not written as it was read.
impl Value for QueueUrl {
    fn read(raw: &Raw) -> Result<Self, String> {
        text(raw, "nats://127.0.0.1:4222")?.parse().map_err(|error: parallax_client::BadQueueUrl| error.to_string())
    }

    fn write(&self) -> String {
        quote_toml(&self.to_string())
    }
}

/// A line about the node that strangers will read: who runs it, its domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) String);

impl Value for Line {
    fn read(raw: &Raw) -> Result<Self, String> {
        let given = text(raw, "one line")?;
        match given.chars().count() <= 100 && !given.chars().any(char::is_control) {
            true => Ok(Self(given.into())),
            false => Err("the value must be one line of at most 100 characters".into()),
        }
    }

    fn write(&self) -> String {
        quote_toml(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Value>(text: &str) -> Result<T, String> {
        T::read(&Raw::Text(text.into()))
    }

    #[test]
    fn shares_have_bounds() {
        for good in ["0", "1", "0.75"] {
            assert!(read::<Share>(good).is_ok(), "{good}");
        }
        for bad in ["", "-0.1", "1.01", "NaN", "inf", "75%"] {
            assert!(read::<Share>(bad).is_err(), "{bad}");
        }
        assert_eq!(Share::read(&Raw::Integer(1)).unwrap().write(), "1.0");
    }

    #[test]
    fn time_limits_have_bounds() {
        assert_eq!(Millis::read(&Raw::Integer(5000)), read("5s"));
        for bad in ["9ms", "11m", "5"] {
            assert!(read::<Millis>(bad).is_err(), "{bad}");
        }
        assert!(Millis::read(&Raw::Integer(-1)).is_err());
        assert!(Millis::read(&Raw::Bool(true)).is_err());
        assert!(read::<Secs>("1500ms").unwrap_err().contains("whole seconds"));
        assert_eq!(Secs::read(&Raw::Integer(172_800)), read("2d"));
    }

    #[test]
    fn ports_are_a_word_or_a_list() {
        assert_eq!(read("any"), Ok(Ports::Any));
        assert_eq!(read("443, 8443"), Ok(Ports::Listed(vec![443, 8443])));
        assert_eq!(Ports::read(&Raw::List(vec![Raw::Integer(443)])), Ok(Ports::Listed(vec![443])));
        assert_eq!(Ports::Listed(vec![443, 8443]).write(), "[443, 8443]");
        for bad in [Raw::List(vec![]), Raw::List(vec![Raw::Integer(0)]), Raw::List(vec![Raw::Integer(65_536)])] {
            assert!(Ports::read(&bad).is_err(), "{bad:?}");
        }
        for bad in ["", "0", "all", "443;8443"] {
            assert!(read::<Ports>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_node_announces_urls() {
        let url = "https://node.example:8443".to_string();
        assert_eq!(read("https://node.example:8443"), Ok(Addresses(vec![url.clone()])));
        assert_eq!(Addresses::read(&Raw::List(vec![])), Ok(Addresses(vec![])));
        assert_eq!(Addresses(vec![url.clone(), url]).write().matches("node.example").count(), 2);
        for bad in ["", "http://node.example", "https://node.example/v1", "https://a,b"] {
            assert!(read::<Addresses>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_node_is() {
        assert_eq!(read("hub"), Ok(Roles { hub: true, janus: false }));
        assert_eq!(read("notary,hub, mirror"), Ok(Roles { hub: true, janus: false }));
        assert_eq!(read("hub,janus"), Ok(Roles { hub: true, janus: true }));
        assert_eq!(read("janus"), Ok(Roles { hub: false, janus: true }));
        assert_eq!(Roles::read(&Raw::List(vec![])), Ok(Roles::default()));
        assert_eq!(
            Roles { hub: true, janus: false }.write().parse::<toml::Value>().unwrap().as_array().unwrap().len(),
            1
        );
        assert!(read::<Roles>("peer").unwrap_err().contains("the roles are hub, janus, mirror and notary"));
        assert!(read::<Roles>("").is_err() && Roles::read(&Raw::List(vec![Raw::List(vec![])])).is_err());
    }

    #[test]
    fn what_a_node_says_of_itself() {
        assert_eq!(read("ripe"), Ok(Registry("RIPE")));
        assert!(read::<Registry>("IANA").unwrap_err().contains("AFRINIC, APNIC"));
        for bad in ["EU", "eu west", "", "\u{202e}eu"] {
            assert!(read::<Region>(bad).is_err(), "{bad}");
        }
        assert!(read::<Line>("two\nlines").is_err() && read::<Line>(&"x".repeat(101)).is_err());
        assert_eq!(Line("a \"b\"".into()).write().parse::<toml::Value>().unwrap().as_str(), Some("a \"b\""));
    }
}
