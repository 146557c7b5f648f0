//! The Perspectives conversation (`docs/protocols/perspectives.md`): what old clients ask, and the bytes they verify.
//!
//! Weak by design: MD5, no time, no nonce. It has a key of its own and nothing here is evidence for this program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax_core::{LegacyRow, Md5Fingerprint, Scheme, ServiceId};

/// `Content-Type` of a reply.
pub const LEGACY_CONTENT_TYPE: &str = "text/xml";

/// Names and values in one request at most; there are three names.
const MOST_PAIRS: usize = 16;

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LegacyKind {
    /// Service type 1: the MD5 of an SSH host key blob.
    Ssh,
    /// Service type 2: the MD5 of a TLS leaf certificate.
    Ssl,
}

impl LegacyKind {
    /// As in the service id and the parameter `service_type`.
    pub const fn number(self) -> u8 {
        match self {
            Self::Ssh => 1,
            Self::Ssl => 2,
        }
    }

    /// As in the attribute `type` of a reply.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Ssl => "ssl",
        }
    }

    /// The port when none is named.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Ssh => 22,
            Self::Ssl => 443,
        }
    }

    /// How such a service is spoken to; `None` while nothing here looks at that kind.
    pub const fn scheme(self) -> Option<Scheme> {
        match self {
            Self::Ssh => None,
            Self::Ssl => Some(Scheme::Tls),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Ssh, Self::Ssl].into_iter().find(|kind| kind.number().to_string() == text)
    }
}

/// One valid request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyRequest {
    host: String,
    port: u16,
    kind: LegacyKind,
    canonical: ServiceId,
}

/// Why a request is none. Each is a 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLegacyRequest {
    /// Not `name=value` pairs in UTF-8.
    #[error("the parameters are not name=value pairs in UTF-8 with & between them")]
    Form,
    /// A parameter that there is not.
    #[error("a parameter is not known; known are host, port and service_type")]
    Unknown,
    /// A parameter twice.
    #[error("{0} is given twice; give it once")]
    Repeated(&'static str),
    /// No host, or an empty one.
    #[error("name a host, such as host=example.com")]
    NoHost,
    /// A host that is neither a name nor an address.
    #[error("the host is neither a DNS name nor an address")]
    Host,
    /// Not 1 to 65535 in plain decimal.
    #[error("ports are 1 to 65535, without sign or leading zeros")]
    Port,
    /// Neither 1 nor 2.
    #[error("service_type is 1 (ssh) or 2 (ssl)")]
    Type,
}

/// The parameters of a request: `a=b&c=d`, percent-encoded, from the query and from the body of a form. A `&` at the end
/// counts for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyParameters(Vec<(String, String)>);

impl LegacyParameters {
    /// Adds those of one encoded text.
    pub fn add(&mut self, encoded: &str) -> Result<(), BadLegacyRequest> {
        let encoded = encoded.strip_suffix('&').unwrap_or(encoded);
        if encoded.is_empty() {
            return Ok(());
        }
        for pair in encoded.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if self.0.len() == MOST_PAIRS {
                return Err(BadLegacyRequest::Form);
            }
            self.0.push((decode(name)?, decode(value)?));
        }
        Ok(())
    }

    /// Whether there are none: then the index page is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&self, name: &'static str) -> Result<Option<&str>, BadLegacyRequest> {
        let mut values = self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let value = values.next();
        if values.next().is_some() { Err(BadLegacyRequest::Repeated(name)) } else { Ok(value) }
    }
}

impl LegacyRequest {
    /// Reads the parameters strictly.
    pub fn parse(parameters: &LegacyParameters) -> Result<Self, BadLegacyRequest> {
        let known = |(name, _): &(String, String)| matches!(name.as_str(), "host" | "port" | "service_type");
        if !parameters.0.iter().all(known) {
            return Err(BadLegacyRequest::Unknown);
        }
        let [host, port, kind] = ["host", "port", "service_type"].map(|name| parameters.take(name));
        let (host, port, kind) = (host?, port?, kind?);
        let host = host.filter(|host| !host.is_empty()).ok_or(BadLegacyRequest::NoHost)?;
        let kind = kind.map_or(Some(LegacyKind::Ssl), LegacyKind::parse).ok_or(BadLegacyRequest::Type)?;
        let port = port.map_or(Some(kind.default_port()), parse_port).ok_or(BadLegacyRequest::Port)?;
        // The rules for hosts are the same for all schemes.
        let scheme = kind.scheme().unwrap_or(Scheme::Tls);
        let canonical = ServiceId::new(scheme, host, port).map_err(|_| BadLegacyRequest::Host)?;
        Ok(Self { host: host.to_owned(), port, kind, canonical })
    }

    /// What the reply is signed over: `host:port,type`, the host spelt as it was requested.
    pub fn service_id(&self) -> String {
        format!("{}:{},{}", self.host, self.port, self.kind.number())
    }

    /// What kind of service.
    pub fn kind(&self) -> LegacyKind {
        self.kind
    }

    /// The service itself, all spellings folded into one; `None` while nothing here looks at that kind.
    pub fn service(&self) -> Option<&ServiceId> {
        self.kind.scheme().map(|_| &self.canonical)
    }

    /// Whether the host is spelt as this node spells it: then the signature can be kept for everybody.
    pub fn is_canonical(&self) -> bool {
        match self.canonical.host() {
            parallax_core::Host::Name(name) => *name == self.host,
            parallax_core::Host::Address(address) => address.to_string() == self.host,
        }
    }
}

/// A history in the form of a reply: keys ascending by fingerprint, spans within a key ascending by start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LegacyHistory(BTreeMap<Md5Fingerprint, Vec<(u32, u32)>>);

impl LegacyHistory {
    /// From the rows of a history. What lies outside of 1970 to 2106 can't be written and is left out.
    pub fn new(rows: impl IntoIterator<Item = LegacyRow>) -> Self {
        let mut keys = BTreeMap::<_, Vec<_>>::new();
        for row in rows {
            if let (Ok(start), Ok(end)) = (u32::try_from(row.start), u32::try_from(row.end)) {
                keys.entry(row.leaf_md5).or_default().push((start, end));
            }
        }
        for spans in keys.values_mut() {
            spans.sort_unstable();
            // The number of spans of a key is a u16; a history has far fewer.
            spans.truncate(usize::from(u16::MAX));
        }
        Self(keys)
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys with their spans, in the order of the document.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = (&Md5Fingerprint, &[(u32, u32)])> {
        self.0.iter().map(|(print, spans)| (print, spans.as_slice()))
    }

    /// The bytes under the signature: the service id, a zero byte, and a block for each key, the last of the document
    /// first. Numbers are big-endian.
    pub fn signed_bytes(&self, service_id: &str) -> Vec<u8> {
        let mut bytes = service_id.as_bytes().to_vec();
        bytes.push(0);
        for (print, spans) in self.keys().rev() {
            bytes.extend(u16::try_from(spans.len()).unwrap_or(u16::MAX).to_be_bytes());
            // The length of the fingerprint, and 3 for every type of service.
            bytes.extend([0, 16, 3]);
            bytes.extend(print.as_bytes());
            for (start, end) in spans {
                bytes.extend(start.to_be_bytes());
                bytes.extend(end.to_be_bytes());
            }
        }
        bytes
    }

    /// The reply to the byte: no XML declaration, tabs, a newline after every element, attributes in alphabetical order.
    pub fn to_xml(&self, kind: LegacyKind, signature: &[u8]) -> String {
        let mut xml = String::with_capacity(400 + 64 * self.0.values().map(Vec::len).sum::<usize>());
        let name = kind.name();
        let signature = STANDARD.encode(signature);
        // Nothing in a reply needs escaping: digits, hex and base64.
        let _ = writeln!(xml, "<notary_reply sig=\"{signature}\" sig_type=\"rsa-md5\" version=\"1\">");
        for (print, spans) in self.keys() {
            let _ = writeln!(xml, "\t<key fp=\"{}\" type=\"{name}\">", colons(print));
            for (start, end) in spans {
                let _ = writeln!(xml, "\t\t<timestamp end=\"{end}\" start=\"{start}\"/>");
            }
            xml.push_str("\t</key>\n");
        }
        xml.push_str("</notary_reply>\n");
        xml
    }
}

fn colons(print: &Md5Fingerprint) -> String {
    let pairs: Vec<String> = print.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

fn parse_port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if plain { u16::from_str(text).ok() } else { None }
}

/// Percent-decoding of a form (`application/x-www-form-urlencoded`): `+` is a space.
fn decode(text: &str) -> Result<String, BadLegacyRequest> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next())? << 4 | hex_digit(rest.next())?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| BadLegacyRequest::Form)
}

fn hex_digit(byte: Option<u8>) -> Result<u8, BadLegacyRequest> {
    let digit = byte.and_then(|byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
    digit.ok_or(BadLegacyRequest::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str) -> Result<LegacyRequest, BadLegacyRequest> {
        let mut parameters = LegacyParameters::default();
        parameters.add(query)?;
        LegacyRequest::parse(&parameters)
    }

    fn row(byte: impl Fn(u8) -> u8, start: i64, end: i64) -> LegacyRow {
        LegacyRow { leaf_md5: Md5Fingerprint::from_bytes(std::array::from_fn(|i| byte(i as u8))), start, end }
    }

    fn vector() -> LegacyHistory {
        let (up, down) = (|i| i, |i| 0xff - i);
        LegacyHistory::new([row(down, 1_000_000_000, 1_000_000_500), row(up, 256, 65_536), row(up, 1, 2)])
    }

    #[test]
    fn the_published_vector() {
        let signed = vector().signed_bytes(&request("host=example.test").unwrap().service_id());
        let hex: String = signed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "6578616d706c652e746573743a3434332c32000001001003fffefdfcfbfaf9f8f7f6f5f4f3f2f1f03b9aca003b9acbf4\
             0002001003000102030405060708090a0b0c0d0e0f00000001000000020000010000010000"
        );
        assert_eq!(signed.len(), 85);
    }

    #[test]
    fn the_reply_to_the_byte() {
        assert_eq!(
            vector().to_xml(LegacyKind::Ssl, &[0, 1, 2, 3]),
            "<notary_reply sig=\"AAECAw==\" sig_type=\"rsa-md5\" version=\"1\">\n\
             \t<key fp=\"00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f\" type=\"ssl\">\n\
             \t\t<timestamp end=\"2\" start=\"1\"/>\n\
             \t\t<timestamp end=\"65536\" start=\"256\"/>\n\
             \t</key>\n\
             \t<key fp=\"ff:fe:fd:fc:fb:fa:f9:f8:f7:f6:f5:f4:f3:f2:f1:f0\" type=\"ssl\">\n\
             \t\t<timestamp end=\"1000000500\" start=\"1000000000\"/>\n\
             \t</key>\n\
             </notary_reply>\n"
        );
    }

    #[test]
    fn what_u32_seconds_can_not_say_is_left_out() {
        let rows = [row(|i| i, -1, 5), row(|i| i, 5, i64::from(u32::MAX) + 1), row(|i| i + 1, -9, -8)];
        assert!(LegacyHistory::new(rows).is_empty());
        let edge = LegacyHistory::new([row(|i| i, 0, i64::from(u32::MAX))]);
        assert!(edge.signed_bytes("a:1,2").ends_with(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]));
    }

    #[test]
    fn requests_and_the_spelling_they_are_signed_over() {
        for (query, id, service) in [
            ("host=example.com", "example.com:443,2", Some("tls://example.com:443")),
            ("host=example.com&", "example.com:443,2", Some("tls://example.com:443")),
            ("port=8443&host=EXAMPLE.com.&service_type=2", "EXAMPLE.com.:8443,2", Some("tls://example.com:8443")),
            ("host=example.com&service_type=1", "example.com:22,1", None),
            ("host=%65xample.com", "example.com:443,2", Some("tls://example.com:443")),
            ("host=192.0.2.7", "192.0.2.7:443,2", Some("tls://192.0.2.7:443")),
            ("host=2001:DB8::1", "2001:DB8::1:443,2", Some("tls://[2001:db8::1]:443")),
            ("host=b%C3%BCcher.example", "bücher.example:443,2", Some("tls://xn--bcher-kva.example:443")),
        ] {
            let request = request(query).unwrap();
            assert_eq!(request.service_id(), id, "{query}");
            assert_eq!(request.service().map(ToString::to_string).as_deref(), service, "{query}");
            assert_eq!(request.is_canonical(), id == "192.0.2.7:443,2" || id.starts_with("example.com:"), "{query}");
        }
    }

    #[test]
    fn what_is_no_request_is_named() {
        use BadLegacyRequest::{Form, Host, NoHost, Port, Repeated, Type, Unknown};
        for (query, wanted) in [
            ("host=", NoHost),
            ("host", NoHost),
            ("port=443", NoHost),
            ("host=a&host=b", Repeated("host")),
            ("host=a&port=1&port=1", Repeated("port")),
            ("host=a&Port=1", Unknown),
            ("host=a&x", Unknown),
            ("host=a&&port=1", Unknown),
            ("&host=a", Unknown),
            ("host=a&&", Unknown),
            ("host=a&port=", Port),
            ("host=a&port=0", Port),
            ("host=a&port=0443", Port),
            ("host=a&port=%2B443", Port),
            ("host=a&port=65536", Port),
            ("host=a&port=-1", Port),
            ("host=a&port=%EF%BC%91", Port),
            ("host=a&service_type=3", Type),
            ("host=a&service_type=", Type),
            ("host=a&service_type=02", Type),
            ("host=a b", Host),
            ("host=a%00b", Host),
            ("host=a:443,2", Host),
            ("host=a+b", Host),
            ("host=127.1", Host),
            ("host=%zz", Form),
            ("host=%2", Form),
            ("host=%ff", Form),
        ] {
            assert_eq!(request(query), Err(wanted), "{query}");
        }
        let many = "a=b&".repeat(1000);
        assert_eq!(request(&many), Err(Form));
    }

    #[test]
    fn a_form_and_a_query_together_are_one_request() {
        let mut parameters = LegacyParameters::default();
        assert!(parameters.is_empty());
        parameters.add("&").unwrap();
        assert!(parameters.is_empty());
        parameters.add("host=a").unwrap();
        parameters.add("host=b").unwrap();
        assert_eq!(LegacyRequest::parse(&parameters), Err(BadLegacyRequest::Repeated("host")));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(query in ".{0,60}") {
            let _ = request(&query);
            let _ = request(&format!("host={query}"));
        }
    }
}
