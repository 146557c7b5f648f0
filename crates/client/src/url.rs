//! How a vantage point is named: a URL whose fragment pins it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::notary::NotaryAddress;
use parallax_core::{BadService, Host, Scheme, ServiceId, VantageId};

/// `https://192.0.2.7:8443#<vantage id>`; the pin is missing only where it is still to be learned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VantageUrl {
    host: Host,
    port: u16,
    pin: Option<VantageId>,
}

/// Why a text names no vantage point.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVantageUrl {
    /// It does not begin with `https://`.
    #[error("\"{0}\" is not a vantage point; write https://HOST:PORT#VANTAGE-ID")]
    Scheme(String),
    /// Host or port are wrong.
    #[error("the vantage point's address is wrong: {0}")]
    Address(#[from] BadService),
    /// There is more than host and port.
    #[error("a vantage point is https://HOST:PORT#VANTAGE-ID, without \"{0}\"")]
    Path(String),
    /// There is nothing after `#`.
    #[error("an old notary is perspectives+http://HOST:PORT#FILE, with the file that holds its public key in PEM")]
    KeyFile,
    /// The pin is no vantage id.
    #[error("the pin after # is wrong: {0}")]
    Pin(#[from] parallax_core::BadHex),
    /// The message queue is no message queue.
    #[error(transparent)]
    Queue(#[from] crate::queue::BadQueueUrl),
}

/// What an old notary's URL begins with.
pub const NOTARY_SCHEME: &str = "perspectives+http://";

/// What the URL of a hub's peers begins with.
pub const HUB_SCHEME: &str = "hub+https://";

/// Any kind of vantage point, as a user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VantageName {
    /// A node behind its pin.
    Node(VantageUrl),
    /// The peers behind a hub: `hub+https://HOST:PORT#VANTAGE-ID`.
    Hub(VantageUrl),
    /// An old notary, and the file with its public key: `perspectives+http://HOST:PORT#KEY.PEM`.
    Notary {
        /// Where it answers.
        address: NotaryAddress,
        /// The file with its key in PEM; `None` where the notary is listed already.
        key_file: Option<PathBuf>,
    },
}

impl FromStr for VantageName {
    type Err = BadVantageUrl;

    fn from_str(text: &str) -> Result<Self, BadVantageUrl> {
        if let Some(rest) = text.trim().strip_prefix(HUB_SCHEME) {
            return format!("https://{rest}").parse().map(VantageName::Hub);
        }
        let Some(rest) = text.trim().strip_prefix(NOTARY_SCHEME) else {
            return text.parse().map(VantageName::Node);
        };
        let (address, file) = rest.split_once('#').map_or((rest, None), |(address, file)| (address, Some(file)));
        if file == Some("") {
            return Err(BadVantageUrl::KeyFile);
        }
        let address = address.strip_suffix('/').unwrap_or(address);
        Ok(VantageName::Notary { address: address.parse()?, key_file: file.map(PathBuf::from) })
    }
}

impl VantageUrl {
    /// What answers there, under this pin.
    pub fn at(host: Host, port: u16, pin: VantageId) -> Self {
        Self { host, port, pin: Some(pin) }
    }

    /// Its host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its port, 443 where none is named.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The pinned vantage id.
    pub fn pin(&self) -> Option<VantageId> {
        self.pin
    }

    /// The same address under this pin.
    pub fn with_pin(&self, pin: VantageId) -> Self {
        Self { pin: Some(pin), ..self.clone() }
    }

    /// Host and port as they stand in a `Host` header.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for VantageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}:{}", self.host, self.port)?;
        self.pin.map_or(Ok(()), |pin| write!(f, "#{pin}"))
    }
}

impl FromStr for VantageUrl {
    type Err = BadVantageUrl;

    fn from_str(text: &str) -> Result<Self, BadVantageUrl> {
        let shown = || text.chars().take(60).flat_map(char::escape_debug).collect::<String>();
        let rest = text.trim().strip_prefix("https://").ok_or_else(|| BadVantageUrl::Scheme(shown()))?;
        let (address, pin) = rest.split_once('#').map_or((rest, None), |(address, pin)| (address, Some(pin)));
        let address = address.strip_suffix('/').unwrap_or(address);
        if let Some((_, path)) = address.split_once(['/', '?']) {
            return Err(BadVantageUrl::Path(path.chars().take(40).flat_map(char::escape_debug).collect()));
        }
        let pin = pin.map(str::parse).transpose()?;
        // Host and port follow the rules of a service.
        let service: ServiceId = format!("{}://{address}", Scheme::Tls.as_str()).parse()?;
        Ok(Self { host: service.host().clone(), port: service.port(), pin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written() {
        let id = "ab".repeat(32);
        for (given, wanted) in [
            (format!("https://192.0.2.7:8443#{id}"), format!("https://192.0.2.7:8443#{id}")),
            (format!("https://node.EXAMPLE./#{id}"), format!("https://node.example:443#{id}")),
            ("https://[2001:db8::1]:8443".to_owned(), "https://[2001:db8::1]:8443".to_owned()),
        ] {
            assert_eq!(given.parse::<VantageUrl>().unwrap().to_string(), wanted);
        }
    }

    #[test]
    fn the_kinds_of_vantage_points_are_told_apart() {
        let id = "ab".repeat(32);
        let url: VantageUrl = format!("https://192.0.2.7:8443#{id}").parse().unwrap();
        assert_eq!(format!("hub+https://192.0.2.7:8443#{id}").parse(), Ok(VantageName::Hub(url.clone())));
        assert_eq!(format!(" hub+https://192.0.2.7:8443/#{id} ").parse(), Ok(VantageName::Hub(url.clone())));
        assert_eq!(url.to_string().parse(), Ok(VantageName::Node(url)));
        assert!("hub+https://192.0.2.7:8443/v1/peer".parse::<VantageName>().is_err());
        assert!("hub+http://192.0.2.7:8443".parse::<VantageName>().is_err());
    }

    #[test]
    fn wrong_urls_say_what_would_be_right() {
        for (given, part) in [
            ("", "write https://HOST:PORT#VANTAGE-ID"),
            ("http://192.0.2.7:8443", "write https://HOST:PORT#VANTAGE-ID"),
            ("https://", "no service was named"),
            ("https://192.0.2.7:0", "ports are 1 to 65535"),
            ("https://192.0.2.7:8443/v1#00", "without \"v1\""),
            ("https://192.0.2.7:8443#abc", "a vantage id is 64 lower-case hex digits"),
            ("https://192.0.2.7:8443#", "a vantage id is 64 lower-case hex digits"),
        ] {
            let error = given.parse::<VantageUrl>().expect_err(given).to_string();
            assert!(error.contains(part), "{given}: {error}");
        }
    }
}
