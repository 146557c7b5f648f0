//! Where mails go, as an operator writes it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use parallax_core::DnsName;

/// Where mails go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailRoute {
    /// To a mail server.
    Smtp(SmtpRoute),
    /// Into a folder, for trying it out: nothing is sent. A maildir, as mail programs read it.
    Maildir(PathBuf),
}

/// A mail server, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpRoute {
    /// Its name, which its certificate must show, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// Who logs in; nobody does where there is none.
    pub user: Option<String>,
    /// What is logged in with.
    pub password: Option<Secret>,
    /// A PEM file of the roots that the server's certificate may lead to; `None`: those that Mozilla ships.
    pub roots: Option<PathBuf>,
}

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS, or no mail.
    StartTls,
    /// None: only on this machine.
    Plain,
}

impl Security {
    fn scheme(self) -> &'static str {
        match self {
            Security::Tls => "smtps://",
            Security::StartTls => "smtp://",
            Security::Plain => "smtp+plain://",
        }
    }

    /// RFC 8314 sections 3.3 and 7.3; and where a relay on the same machine listens.
    fn usual_port(self) -> u16 {
        match self {
            Security::Tls => 465,
            Security::StartTls => 587,
            Security::Plain => 25,
        }
    }
}

/// A text that no log and no listing shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a text names no way for mails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRoute {
    /// Something else.
    #[error(
        "write smtp://HOST (with STARTTLS), smtps://HOST, smtp+plain://127.0.0.1 (this machine alone) or maildir:DIR"
    )]
    Scheme,
    /// A login in the URL would stand in logs and listings.
    #[error(
        "the URL holds a login; name the user with janus.smtp_user and the password's file with janus.smtp_password_file"
    )]
    Login,
    /// No host.
    #[error("{0:?} is no host; write a DNS name or an address, such as mail.example.com or [2001:db8::1]")]
    Host(String),
    /// No port.
    #[error("{0:?} is no port")]
    Port(String),
    /// Something behind the host.
    #[error("the URL has {0:?} behind the host; it ends with the host or the port")]
    Path(String),
    /// In the clear to elsewhere: whoever is on the way could read the codes and have certificates for any address.
    #[error("without TLS mails go to this machine alone (127.0.0.1, [::1]); write smtp:// or smtps:// for {0}")]
    PlainElsewhere(String),
    /// No folder.
    #[error("maildir: names no folder; write maildir:DIR")]
    Folder,
}

impl MailRoute {
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self::Smtp(smtp) = self else { return Ok(()) };
        match (&smtp.user, &smtp.password) {
            (Some(_), None) => {
                Err("there is a user to log in but no password; name its file with janus.smtp_password_file".into())
            }
            (None, Some(_)) => Err("there is a password but no user to log in; name it with janus.smtp_user".into()),
            _ => Ok(()),
        }
    }
}

impl FromStr for MailRoute {
    type Err = BadRoute;

    fn from_str(text: &str) -> Result<Self, BadRoute> {
        if let Some(folder) = text.strip_prefix("maildir:") {
            return if folder.is_empty() { Err(BadRoute::Folder) } else { Ok(Self::Maildir(folder.into())) };
        }
        let (security, rest) = [Security::Tls, Security::StartTls, Security::Plain]
            .into_iter()
            .find_map(|security| Some((security, text.strip_prefix(security.scheme())?)))
            .ok_or(BadRoute::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(BadRoute::Login);
        }
        if let Some((_, path)) = rest.split_once(['/', '?', '#']) {
            return Err(BadRoute::Path(path.into()));
        }
        let (host, port) = host_and_port(rest)?;
        let port = port.map_or(Ok(security.usual_port()), |port| match port.parse() {
            Ok(0) | Err(_) => Err(BadRoute::Port(port.into())),
            Ok(port) => Ok(port),
        })?;
        if security == Security::Plain && !host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()) {
            return Err(BadRoute::PlainElsewhere(host));
        }
        Ok(Self::Smtp(SmtpRoute { host, port, security, user: None, password: None, roots: None }))
    }
}

impl fmt::Display for MailRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Maildir(folder) => write!(f, "maildir:{}", folder.display()),
            Self::Smtp(SmtpRoute { host, port, security, .. }) => {
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "{}{open}{host}{close}", security.scheme())?;
                if *port == security.usual_port() { Ok(()) } else { write!(f, ":{port}") }
            }
        }
    }
}

fn host_and_port(text: &str) -> Result<(String, Option<&str>), BadRoute> {
    let bad = || BadRoute::Host(text.chars().take(80).collect());
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
            match rest {
                "" => (host, None),
                rest => (host, Some(rest.strip_prefix(':').ok_or_else(bad)?)),
            }
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.parse::<IpAddr>().is_ok() {
        return Ok((host.to_owned(), port));
    }
    let name: DnsName = host.parse().map_err(|_| bad())?;
    Ok((name.to_string(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_of_mail_are_written_and_read() {
        for text in [
            "smtp://mail.example.com",
            "smtp://mail.example.com:25",
            "smtps://192.0.2.7",
            "smtps://[2001:db8::1]:2465",
            "smtp+plain://127.0.0.1",
            "smtp+plain://[::1]:2525",
            "maildir:/var/tmp/mail",
            "maildir:mail here",
        ] {
            assert_eq!(text.parse::<MailRoute>().unwrap().to_string(), text);
        }
        let MailRoute::Smtp(smtp) = "smtp://Mail.Example.com/".parse().unwrap() else { panic!() };
        assert_eq!((smtp.host.as_str(), smtp.port, smtp.security), ("mail.example.com", 587, Security::StartTls));
    }

    #[test]
    fn what_is_none_says_what_would_be_right() {
        for (text, part) in [
            ("", "write smtp://HOST"),
            ("mail.example.com", "write smtp://HOST"),
            ("http://mail.example.com", "write smtp://HOST"),
            ("smtp://ann:secret@mail.example.com", "janus.smtp_password_file"),
            ("smtp://", "is no host"),
            ("smtp://mail example", "is no host"),
            ("smtp://[::1", "is no host"),
            ("smtp://[::1]25", "is no host"),
            ("smtp://mail.example.com:0", "is no port"),
            ("smtp://mail.example.com:mail", "is no port"),
            ("smtp://mail.example.com/inbox", "behind the host"),
            ("smtp+plain://mail.example.com", "this machine alone"),
            ("smtp+plain://192.0.2.7", "this machine alone"),
            ("maildir:", "write maildir:DIR"),
        ] {
            let error = text.parse::<MailRoute>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let mut route: MailRoute = "smtp://mail.example.com".parse().unwrap();
        let MailRoute::Smtp(smtp) = &mut route else { panic!() };
        smtp.password = Some(Secret::new("hunter2"));
        assert!(!format!("{route:?} {route}").contains("hunter2"));
        assert!(route.check().unwrap_err().contains("janus.smtp_user"));
    }
}
