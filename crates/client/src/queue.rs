//! Where a message queue is and what opens it. What is shown of it, in logs, messages and `config show`, holds no
//! credentials.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use parallax_core::Host;

use crate::url::VantageUrl;

/// The port of NATS.
const PORT: u16 = 4222;

/// `nats://HOST:PORT`, `tls://HOST:PORT`, either with `USER:PASSWORD@` or `TOKEN@` before the host (percent-encoded where
/// they hold `:`, `@` or `/`). In the clear on loopback alone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct QueueUrl {
    tls: bool,
    host: Host,
    port: u16,
    user: Option<String>,
    password: Option<String>,
}

/// Why a text names no message queue. It never repeats what may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQueueUrl {
    /// It begins with something else, or has no host.
    #[error(
        "a message queue is nats://HOST:PORT, or tls://HOST:PORT on another machine, with USER:PASSWORD@ before the host where it wants that"
    )]
    Form,
    /// It would be spoken to in the clear.
    #[error("{host} is another machine, so the queue needs TLS: write tls://{host}:{port}")]
    Clear {
        /// Where.
        host: Host,
        /// Its port.
        port: u16,
    },
    /// User, password or token are not percent-encoded.
    #[error(
        "user, password or token of the queue are not percent-encoded: write %40 for @, %3A for :, %2F for /, %25 for %"
    )]
    Encoding,
    /// This program speaks to none.
    #[error("this program was built without message queues; build it with --features cluster")]
    NotBuilt,
}

impl QueueUrl {
    /// Whether it begins as one does.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.starts_with("nats://") || text.starts_with("tls://")
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn bare(&self) -> String {
        let scheme = if self.tls { "tls" } else { "nats" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.bare();
        match (&self.user, bare.split_once("://")) {
            (Some(_), Some((scheme, rest))) => write!(f, "{scheme}://***@{rest}"),
            _ => f.write_str(&bare),
        }
    }
}

impl fmt::Debug for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueUrl({self})")
    }
}

impl FromStr for QueueUrl {
    type Err = BadQueueUrl;

    fn from_str(text: &str) -> Result<Self, BadQueueUrl> {
        let text = text.trim();
        let (tls, rest) = match (text.strip_prefix("nats://"), text.strip_prefix("tls://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(BadQueueUrl::Form),
        };
        let (credentials, address) = rest.rsplit_once('@').map_or((None, rest), |(before, at)| (Some(before), at));
        let (user, password) = credentials.map_or(Ok((None, None)), read_credentials)?;
        let address = address.strip_suffix('/').unwrap_or(address);
        let behind_brackets = address.rsplit_once(']').map_or(address, |(_, behind)| behind);
        let port = if behind_brackets.contains(':') { String::new() } else { format!(":{PORT}") };
        let at: VantageUrl = format!("https://{address}{port}").parse().map_err(|_| BadQueueUrl::Form)?;
        let (host, port) = (at.host().clone(), at.port());
        let loopback = match &host {
            Host::Address(ip) => ip.is_loopback(),
            Host::Name(name) => name == "localhost",
        };
        if !tls && !loopback {
            return Err(BadQueueUrl::Clear { host, port });
        }
        Ok(Self { tls, host, port, user, password })
    }
}

type Credentials = (Option<String>, Option<String>);

fn read_credentials(text: &str) -> Result<Credentials, BadQueueUrl> {
    let (user, password) = text.split_once(':').map_or((text, None), |(user, password)| (user, Some(password)));
    if user.is_empty() {
        return Err(BadQueueUrl::Form);
    }
    Ok((Some(decoded(user)?), password.map(decoded).transpose()?))
}

/// Percent-decoding (RFC 3986, section 2.1); what would have to be encoded is refused.
fn decoded(text: &str) -> Result<String, BadQueueUrl> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (high, low) = (digit(), digit());
                high.zip(low).map(|(high, low)| high << 4 | low).ok_or(BadQueueUrl::Encoding)?
            }
            b':' | b'@' | b'/' | b'#' | b'?' => return Err(BadQueueUrl::Encoding),
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| BadQueueUrl::Encoding)
}

/// What else opens a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueueAccess {
    /// A credentials file of NATS (a JWT and the seed of its key).
    pub credentials: Option<PathBuf>,
    /// Certificates (PEM) of the authorities that sign the queue's certificate, beside those of the system.
    pub ca: Option<PathBuf>,
}

/// Why a queue is not connected to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// A file can't be read.
    #[error("{} can't be read: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file holds no credentials.
    #[error("{} holds no credentials of NATS: it is the file that `nsc generate creds` writes", .0.display())]
    Credentials(PathBuf),
    /// Two kinds of credentials.
    #[error("the queue's URL holds credentials and a credentials file is named; name one of them")]
    Twice,
    /// The queue did not answer, or refused.
    #[error("{0}")]
    Connect(String),
}

#[cfg(feature = "cluster")]
impl QueueUrl {
    /// How to connect to it; whoever connects may add to that.
    pub fn options(&self, access: &QueueAccess) -> Result<async_nats::ConnectOptions, QueueError> {
        let read = |path: &PathBuf| {
            let why =
                |error: std::io::Error| QueueError::File { path: path.clone(), why: parallax_core::plainly(&error) };
            std::fs::read_to_string(path).map_err(why)
        };
        let mut options = async_nats::ConnectOptions::new().name("parallax").require_tls(self.tls);
        if let Some(path) = &access.credentials {
            if self.user.is_some() {
                return Err(QueueError::Twice);
            }
            options = options.credentials(&read(path)?).map_err(|_| QueueError::Credentials(path.clone()))?;
        }
        options = match (&self.user, &self.password) {
            (Some(user), Some(password)) => options.user_and_password(user.clone(), password.clone()),
            (Some(token), None) => options.token(token.clone()),
            (None, _) => options,
        };
        if let Some(path) = &access.ca {
            read(path)?;
            options = options.add_root_certificates(path.clone());
        }
        Ok(options)
    }

    /// Connects.
    pub async fn connect(&self, options: async_nats::ConnectOptions) -> Result<async_nats::Client, QueueError> {
        // The library's own messages name neither user nor password.
        options.connect(self.bare()).await.map_err(|error| QueueError::Connect(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_clear_on_loopback_alone() {
        for (given, shown) in [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("nats://localhost/", "nats://localhost:4222"),
            ("nats://[::1]", "nats://[::1]:4222"),
            ("tls://queue.example:4443", "tls://queue.example:4443"),
        ] {
            assert_eq!(given.parse::<QueueUrl>().unwrap().to_string(), shown);
        }
        for (bad, part) in [
            ("nats://queue.example:4222", "write tls://queue.example:4222"),
            ("nats://u:secret@192.0.2.7", "needs TLS"),
            ("http://127.0.0.1:4222", "nats://HOST:PORT"),
            ("nats://", "nats://HOST:PORT"),
            ("nats://127.0.0.1/path", "nats://HOST:PORT"),
            ("nats://:secret@127.0.0.1", "nats://HOST:PORT"),
            ("nats://u:sec/ret@127.0.0.1", "percent-encoded"),
            ("nats://u:secret%4@127.0.0.1", "percent-encoded"),
            ("nats://u:secret%zz@127.0.0.1", "percent-encoded"),
        ] {
            let why = bad.parse::<QueueUrl>().unwrap_err().to_string();
            assert!(why.contains(part) && !why.contains("sec"), "{bad}: {why}");
        }
    }

    #[test]
    fn credentials_are_read_and_never_shown() {
        let url: QueueUrl = "tls://us%40er:pa%3Ass@queue.example".parse().unwrap();
        assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("us@er"), Some("pa:ss")));
        assert_eq!(url.to_string(), "tls://***@queue.example:4222");
        assert_eq!(format!("{url:?}"), "QueueUrl(tls://***@queue.example:4222)");
        let token: QueueUrl = "nats://to-ken@127.0.0.1".parse().unwrap();
        assert_eq!((token.user.as_deref(), token.password), (Some("to-ken"), None));
    }
}
