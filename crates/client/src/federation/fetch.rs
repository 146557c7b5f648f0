//! A bootstrap file that lies somewhere in the network.

use std::str::FromStr;

use parallax_core::{BadService, Host, Scheme, ServiceId, VantageId};
use parallax_proto::mirror::LARGEST_BOOTSTRAP;

use crate::http::plain_get;
use crate::node::NodeVantage;
use crate::url::VantageUrl;
use crate::vantage::{Deadline, Missing};

/// Where a node serves the file that its publisher signed.
const NODE_PATH: &str = "/v1/bootstrap";

/// The longest path that is asked for, in bytes.
const LONGEST_PATH: usize = 1024;

/// Where a bootstrap file is fetched: `https://HOST:PORT[/PATH]`, from a publisher under its own CA, or
/// `http://HOST:PORT/PATH`, from anywhere: what counts is the publisher's signature in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapUrl {
    is_tls: bool,
    host: Host,
    port: u16,
    path: String,
}

/// Why a text is no such place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBootstrapUrl {
    /// It begins with neither scheme.
    #[error("a bootstrap file is fetched from https://HOST:PORT of its publisher's node, or from http://HOST/PATH")]
    Scheme,
    /// Host or port are wrong.
    #[error("the address of the bootstrap file is wrong: {0}")]
    Address(#[from] BadService),
    /// The path holds what no path does.
    #[error("the path of the bootstrap file has at most 1024 characters of ASCII, without spaces")]
    Path,
}

impl BootstrapUrl {
    /// Whether a text is meant as one, and not as a file.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("https://") || text.starts_with("http://")
    }

    /// At most 1 MiB, unread. Over TLS it is the publisher's own node that must answer.
    pub async fn fetch(&self, publisher: VantageId, deadline: Deadline) -> Result<Vec<u8>, Missing> {
        if self.is_tls {
            let url = VantageUrl::at(self.host.clone(), self.port, publisher);
            let node = NodeVantage::new(url, None).map_err(|why| Missing::Unreachable(why.to_string()))?;
            return Ok(node.fetch(&self.path, LARGEST_BOOTSTRAP, deadline).await?.body.into_bytes());
        }
        match plain_get((&self.host, self.port), &self.path, LARGEST_BOOTSTRAP, deadline).await? {
            (200, body) => Ok(body.into()),
            (status, _) => Err(Missing::Refused { status, detail: None }),
        }
    }
}

impl FromStr for BootstrapUrl {
    type Err = BadBootstrapUrl;

    fn from_str(text: &str) -> Result<Self, BadBootstrapUrl> {
        let tls = text.strip_prefix("https://");
        let rest = tls.or_else(|| text.strip_prefix("http://")).ok_or(BadBootstrapUrl::Scheme)?;
        let (address, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if path.len() > LONGEST_PATH || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadBootstrapUrl::Path);
        }
        let path = if matches!(path, "" | "/") { NODE_PATH } else { path };
        // Host and port follow the rules of a service.
        let service: ServiceId = format!("{}://{address}", Scheme::Tls.as_str()).parse()?;
        let names_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let port = if tls.is_some() || names_port { service.port() } else { 80 };
        Ok(Self { is_tls: tls.is_some(), host: service.host().clone(), port, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        for (text, wanted) in [
            ("https://192.0.2.7:8443", (true, "192.0.2.7", 8443, "/v1/bootstrap")),
            ("https://node.example/", (true, "node.example", 443, "/v1/bootstrap")),
            ("http://files.example/a/b.json", (false, "files.example", 80, "/a/b.json")),
            ("http://files.example:8080/b.json?x=1", (false, "files.example", 8080, "/b.json?x=1")),
            ("http://[2001:db8::1]/b.json", (false, "[2001:db8::1]", 80, "/b.json")),
        ] {
            let url: BootstrapUrl = text.parse().unwrap();
            assert_eq!((url.is_tls, url.host.to_string().as_str(), url.port, url.path.as_str()), wanted, "{text}");
        }
        for text in
            ["ftp://a.example/b", "https://", "http://a.example:0/b", "http://a.example/a b", "http://a.example/é"]
        {
            assert!(text.parse::<BootstrapUrl>().is_err(), "{text}");
        }
    }
}
