//! How the server of a channel is named.

use std::fmt;
use std::str::FromStr;

use parallax_core::VantageId;

use crate::url::{BadVantageUrl, VantageUrl};

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Tls,
    Plain,
    #[cfg(feature = "cluster")]
    Bus,
}

impl Way {
    /// Its scheme, and the port where none is named.
    const fn scheme(self) -> (&'static str, u16) {
        match self {
            Way::Tls => ("https", 443),
            Way::Plain => ("http", 80),
            #[cfg(feature = "cluster")]
            Way::Bus => ("nats", 4222),
        }
    }

    const OTHERS: &'static [Way] = &[
        Way::Plain,
        #[cfg(feature = "cluster")]
        Way::Bus,
    ];
}

/// `https://HOST:PORT#VANTAGE-ID`, or `http://…` for the plain listener: a channel needs no TLS below it, since the pin
/// proves the server either way. With the feature `cluster` also `nats://…`, the message queue that a node listens on.
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

    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// The same address under this pin.
    pub fn with_pin(&self, pin: VantageId) -> Self {
        Self { at: self.at.with_pin(pin), way: self.way }
    }

    /// The URL without its pin.
    pub(super) fn bare(&self) -> String {
        format!("{}://{}", self.way.scheme().0, self.at.authority())
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
        let found = Way::OTHERS.iter().find_map(|way| {
            let (scheme, port) = way.scheme();
            Some((*way, port, text.strip_prefix(scheme)?.strip_prefix("://")?))
        });
        let Some((way, port, rest)) = found else { return Ok(Self { at: text.parse()?, way: Way::Tls }) };
        let (address, pin) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
        let address = address.strip_suffix('/').unwrap_or(address);
        let behind_brackets = address.rsplit_once(']').map_or(address, |(_, behind)| behind);
        let port = if behind_brackets.contains(':') { String::new() } else { format!(":{port}") };
        Ok(Self { at: format!("https://{address}{port}{pin}").parse()?, way })
    }
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
        assert_eq!("nats://queue.example".parse::<ServerUrl>().unwrap().to_string(), "nats://queue.example:4222");
        for bad in ["", "ftp://x", "http://", "http://x/path", "http://x#", "http://x#00"] {
            assert!(bad.parse::<ServerUrl>().is_err(), "{bad}");
        }
    }
}
