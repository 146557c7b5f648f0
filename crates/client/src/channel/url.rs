//! How the server of a channel is named.

use std::fmt;
use std::str::FromStr;

use parallax_core::VantageId;

use crate::url::{BadVantageUrl, VantageUrl};

const PLAIN: &str = "http://";

/// `https://HOST:PORT#VANTAGE-ID`, or `http://…` for the plain listener: a channel needs no TLS below it, since the pin
/// proves the server either way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    at: VantageUrl,
    plain: bool,
}

impl ServerUrl {
    /// Where it is and who it must be.
    pub fn vantage(&self) -> &VantageUrl {
        &self.at
    }

    /// Whether it is reached without TLS.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// The same address under this pin.
    pub fn with_pin(&self, pin: VantageId) -> Self {
        Self { at: self.at.with_pin(pin), plain: self.plain }
    }

    /// The URL without its pin.
    pub(super) fn bare(&self) -> String {
        let scheme = if self.plain { "http" } else { "https" };
        format!("{scheme}://{}", self.at.authority())
    }
}

impl From<VantageUrl> for ServerUrl {
    fn from(at: VantageUrl) -> Self {
        Self { at, plain: false }
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
        match text.trim().strip_prefix(PLAIN) {
            None => Ok(Self { at: text.parse()?, plain: false }),
            // 443 is the port of the other scheme.
            Some(rest) => {
                let (address, pin) = rest.split_once('#').map_or((rest, ""), |(address, pin)| (address, pin));
                let address = address.strip_suffix('/').unwrap_or(address);
                let bracketed = address.rsplit_once(']').map_or(address, |(_, behind)| behind);
                let port = if bracketed.contains(':') { "" } else { ":80" };
                let mark = if rest.contains('#') { "#" } else { "" };
                Ok(Self { at: format!("https://{address}{port}{mark}{pin}").parse()?, plain: true })
            }
        }
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
        for bad in ["", "ftp://x", "http://", "http://x/path", "http://x#", "http://x#00"] {
            assert!(bad.parse::<ServerUrl>().is_err(), "{bad}");
        }
    }
}
