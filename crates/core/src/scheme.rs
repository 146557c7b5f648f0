//! How a service is spoken to.

/// How the service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// TLS from the first byte.
    Tls,
    /// SSH (RFC 4253).
    Ssh,
    /// SMTP between relays, TLS after STARTTLS (RFC 3207).
    Smtp,
    /// SMTP as mail programs submit it (RFC 6409), TLS after STARTTLS.
    Submission,
    /// IMAP, TLS after STARTTLS (RFC 9051 section 6.2.1).
    Imap,
    /// POP3, TLS after STLS (RFC 2595 section 4).
    Pop3,
    /// LDAP, TLS after the StartTLS operation (RFC 4511 section 4.14).
    Ldap,
    /// PostgreSQL, TLS after SSLRequest.
    Postgres,
}

impl Scheme {
    /// All.
    pub const ALL: [Scheme; 8] = [
        Scheme::Tls,
        Scheme::Ssh,
        Scheme::Smtp,
        Scheme::Submission,
        Scheme::Imap,
        Scheme::Pop3,
        Scheme::Ldap,
        Scheme::Postgres,
    ];

    /// As it stands before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Tls => "tls",
            Scheme::Ssh => "ssh",
            Scheme::Smtp => "smtp",
            Scheme::Submission => "submission",
            Scheme::Imap => "imap",
            Scheme::Pop3 => "pop3",
            Scheme::Ldap => "ldap",
            Scheme::Postgres => "postgres",
        }
    }

    /// The port when none is named.
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Tls => 443,
            Scheme::Ssh => 22,
            Scheme::Smtp => 25,
            Scheme::Submission => 587,
            Scheme::Imap => 143,
            Scheme::Pop3 => 110,
            Scheme::Ldap => 389,
            Scheme::Postgres => 5432,
        }
    }

    /// What is spoken, for people.
    pub const fn protocol(self) -> &'static str {
        match self {
            Scheme::Tls => "TLS",
            Scheme::Ssh => "SSH",
            Scheme::Smtp | Scheme::Submission => "SMTP with TLS",
            Scheme::Imap => "IMAP with TLS",
            Scheme::Pop3 => "POP3 with TLS",
            Scheme::Ldap => "LDAP with TLS",
            Scheme::Postgres => "PostgreSQL with TLS",
        }
    }

    /// What the upgrade to TLS is called in a protocol that begins in the clear (`docs/protocols/starttls.md`); `None`
    /// where there is none.
    pub const fn upgrade(self) -> Option<&'static str> {
        match self {
            Scheme::Tls | Scheme::Ssh => None,
            Scheme::Smtp | Scheme::Submission | Scheme::Imap => Some("STARTTLS"),
            Scheme::Pop3 => Some("STLS"),
            Scheme::Ldap => Some("StartTLS"),
            Scheme::Postgres => Some("TLS"),
        }
    }

    /// A scheme as people write it, in any case, and the port that it stands for. The old spellings of TLS from the first
    /// byte (`imaps`, RFC 8314 section 3) are TLS at that port.
    pub(crate) fn parse(text: &str) -> Option<(Self, u16)> {
        let text = text.to_ascii_lowercase();
        let tls_at = |port| Some((Scheme::Tls, port));
        match text.as_str() {
            "https" => tls_at(443),
            "submissions" | "smtps" => tls_at(465),
            "imaps" => tls_at(993),
            "pop3s" => tls_at(995),
            "ldaps" => tls_at(636),
            "postgresql" => Some((Scheme::Postgres, Scheme::Postgres.default_port())),
            text => {
                let scheme = Self::ALL.into_iter().find(|scheme| scheme.as_str() == text)?;
                Some((scheme, scheme.default_port()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_read_as_it_is_written() {
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::parse(scheme.as_str()), Some((scheme, scheme.default_port())));
        }
    }

    #[test]
    fn the_registered_ports() {
        for (text, scheme, port) in [
            ("tls", Scheme::Tls, 443),
            ("HTTPS", Scheme::Tls, 443),
            ("ssh", Scheme::Ssh, 22),
            ("smtp", Scheme::Smtp, 25),
            ("SMTP", Scheme::Smtp, 25),
            ("submission", Scheme::Submission, 587),
            ("imap", Scheme::Imap, 143),
            ("pop3", Scheme::Pop3, 110),
            ("ldap", Scheme::Ldap, 389),
            ("postgres", Scheme::Postgres, 5432),
            ("PostgreSQL", Scheme::Postgres, 5432),
            ("submissions", Scheme::Tls, 465),
            ("smtps", Scheme::Tls, 465),
            ("imaps", Scheme::Tls, 993),
            ("pop3s", Scheme::Tls, 995),
            ("ldaps", Scheme::Tls, 636),
        ] {
            assert_eq!(Scheme::parse(text), Some((scheme, port)), "{text}");
        }
        for other in ["", "smtp ", "starttls", "pop", "imap4", "mysql", "ｓｍｔｐ"] {
            assert_eq!(Scheme::parse(other), None, "{other}");
        }
    }
}
