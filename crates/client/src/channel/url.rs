//! How the server of a channel is named.

use std::fmt;
use std::str::FromStr;

use parallax_core::VantageId;

use crate::queue::{QueueAccess, QueueUrl};
use crate::url::{BadVantageUrl, VantageUrl};

/// What carries the messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Tls,
    Plain,
    #[cfg(feature = "cluster")]
    Queue(Box<(QueueUrl, QueueAccess)>),
}

/// `https://HOST:PORT#VANTAGE-ID`, or `http://…` for the plain listener: a channel needs no TLS below it, since the pin
/// proves the server either way. With the feature `cluster` also the message queue that a node listens on
/// ([`crate::QueueUrl`]): `nats://…` on this machine, `tls://…` on another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    at: VantageUrl,
    way: Way,
}

impl ServerUrl {
    /// Where it is and who it must be.
    pub fn vantage(&self) -> &VantageUrl {
        &self.at
    }

    /// Whether nobody on the way reads what is sent before the channel stands.
    pub fn is_encrypted(&self) -> bool {
        self.way == Way::Tls
    }

    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    /// What else opens the message queue, where it is one.
    #[must_use]
    pub fn with_access(self, access: QueueAccess) -> Self {
        match self.way {
            #[cfg(feature = "cluster")]
            Way::Queue(queue) => Self { at: self.at, way: Way::Queue(Box::new((queue.0, access))) },
            way => {
                drop(access);
                Self { at: self.at, way }
            }
        }
    }

    /// The same address under this pin.
    pub fn with_pin(&self, pin: VantageId) -> Self {
        Self { at: self.at.with_pin(pin), way: self.way.clone() }
    }

    /// The URL without its pin, and without what opens a queue.
    pub(super) fn bare(&self) -> String {
        match &self.way {
            Way::Tls => format!("https://{}", self.at.authority()),
            Way::Plain => format!("http://{}", self.at.authority()),
            #[cfg(feature = "cluster")]
            Way::Queue(queue) => queue.0.to_string(),
        }
    }
}

impl From<VantageUrl> for ServerUrl {
    fn from(at: VantageUrl) -> Self {
        Self { at, way: Way::Tls }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bare())?;
        self.at.pin().map_or(Ok(()), |pin| write!(f, "#{pin}"))
    }
}

impl FromStr for ServerUrl {
    type Err = BadVantageUrl;

    fn from_str(text: &str) -> Result<Self, BadVantageUrl> {
        let text = text.trim();
        if QueueUrl::is_meant(text) {
            return at_queue(text);
        }
        let Some(rest) = text.strip_prefix("http://") else { return Ok(Self { at: text.parse()?, way: Way::Tls }) };
        let (address, pin) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
        let address = address.strip_suffix('/').unwrap_or(address);
        let behind_brackets = address.rsplit_once(']').map_or(address, |(_, behind)| behind);
        let port = if behind_brackets.contains(':') { "" } else { ":80" };
        Ok(Self { at: format!("https://{address}{port}{pin}").parse()?, way: Way::Plain })
    }
}

#[cfg(feature = "cluster")]
fn at_queue(text: &str) -> Result<ServerUrl, BadVantageUrl> {
    let (queue, pin) = text.split_at(text.find('#').unwrap_or(text.len()));
    let queue: QueueUrl = queue.parse()?;
    let at = format!("https://{}:{}{pin}", queue.host(), queue.port()).parse()?;
    Ok(ServerUrl { at, way: Way::Queue(Box::new((queue, QueueAccess::default()))) })
}

#[cfg(not(feature = "cluster"))]
fn at_queue(_: &str) -> Result<ServerUrl, BadVantageUrl> {
    Err(BadVantageUrl::Queue(crate::queue::BadQueueUrl::NotBuilt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_with_and_without_port_and_pin() {
        let id = "ab".repeat(32);
        for (given, wanted) in [
            (format!("https://192.0.2.7:8443#{id}"), format!("https://192.0.2.7:8443#{id}")),
            (format!("http://192.0.2.7:8080#{id}"), format!("http://192.0.2.7:8080#{id}")),
            ("http://node.example".into(), "http://node.example:80".into()),
            ("http://[2001:db8::1]/".into(), "http://[2001:db8::1]:80".into()),
            ("http://[2001:db8::1]:8080".into(), "http://[2001:db8::1]:8080".into()),
        ] {
            assert_eq!(given.parse::<ServerUrl>().unwrap().to_string(), wanted);
        }
        #[cfg(feature = "cluster")]
        assert_eq!("nats://queue.example#".to_owned().parse::<ServerUrl>().ok(), None);
        #[cfg(feature = "cluster")]
        assert_eq!("tls://u:p@queue.example".parse::<ServerUrl>().unwrap().to_string(), "tls://***@queue.example:4222");
        #[cfg(feature = "cluster")]
        assert!("nats://queue.example".parse::<ServerUrl>().unwrap_err().to_string().contains("needs TLS"));
        for bad in ["", "ftp://x", "http://", "http://x/path", "http://x#", "http://x#00"] {
            assert!(bad.parse::<ServerUrl>().is_err(), "{bad}");
        }
    }
}
