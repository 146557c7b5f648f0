//! Servers that begin in the clear and go on with TLS when they are asked to, or don't: as much of each protocol as its
//! upgrade takes, for any client.

use parallax_core::{Scheme, Starttls};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::site::TlsServer;

/// The longest line that is read of a client (RFC 5321 section 4.5.3.1.4).
const LONGEST_COMMAND: u64 = 512;

/// Commands before TLS after which the server has enough.
const MOST_COMMANDS: usize = 64;

/// A server of a protocol that begins in the clear.
#[derive(Clone, Debug)]
pub struct ClearServer {
    scheme: Scheme,
    offer: Starttls,
    tls: Option<TlsServer>,
}

impl ClearServer {
    /// One that goes on with TLS.
    pub(crate) fn with_tls(scheme: Scheme, tls: TlsServer) -> Self {
        Self { scheme, offer: Starttls::Offered, tls: Some(tls) }
    }

    /// One that does not, or somebody on the way who takes the offer out.
    pub(crate) fn without_tls(scheme: Scheme, offer: Starttls) -> Self {
        Self { scheme, offer, tls: None }
    }

    /// Talks until TLS begins; returns the connection and how it goes on. `None` when the client leaves before.
    pub(crate) async fn talk(self, stream: TcpStream) -> std::io::Result<Option<(TcpStream, TlsServer)>> {
        let mut stream = BufReader::new(stream);
        let goes_on = match self.scheme {
            Scheme::Ldap => self.answer_ldap(&mut stream).await?,
            Scheme::Postgres => self.answer_postgres(&mut stream).await?,
            _ => self.answer_lines(&mut stream).await?,
        };
        // A client that sends on before it is told to loses what it sent.
        Ok(self.tls.filter(|_| goes_on).map(|tls| (stream.into_inner(), tls)))
    }

    async fn answer_lines(&self, stream: &mut BufReader<TcpStream>) -> std::io::Result<bool> {
        stream.write_all(self.greeting().as_bytes()).await?;
        for _ in 0..MOST_COMMANDS {
            let mut line = Vec::new();
            if (&mut *stream).take(LONGEST_COMMAND).read_until(b'\n', &mut line).await? == 0 {
                return Ok(false);
            }
            let (answer, goes_on) = self.answer(&String::from_utf8_lossy(&line));
            stream.write_all(answer.as_bytes()).await?;
            if goes_on {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn greeting(&self) -> &'static str {
        match self.scheme {
            Scheme::Imap => "* OK IMAP4rev1 of a parallax lab\r\n",
            Scheme::Pop3 => "+OK POP3 of a parallax lab\r\n",
            _ => "220 mail.test ESMTP of a parallax lab\r\n",
        }
    }

    /// The answer to a command, and whether TLS begins after it.
    fn answer(&self, line: &str) -> (String, bool) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (tag, verb) = match (self.scheme, words.as_slice()) {
            (Scheme::Imap, [tag, verb, ..]) => (*tag, *verb),
            (Scheme::Imap, _) => ("*", ""),
            (_, words) => ("", words.first().copied().unwrap_or_default()),
        };
        let verb = verb.to_ascii_uppercase();
        let offered = self.offer != Starttls::NotOffered;
        let goes_on = offered && self.tls.is_some();
        match (self.scheme, verb.as_str(), offered) {
            (Scheme::Imap, "CAPABILITY", true) => (format!("* CAPABILITY IMAP4rev1 STARTTLS\r\n{tag} OK\r\n"), false),
            (Scheme::Imap, "CAPABILITY", false) => (format!("* CAPABILITY IMAP4rev1\r\n{tag} OK\r\n"), false),
            (Scheme::Imap, "STARTTLS", true) if goes_on => (format!("{tag} OK begin\r\n"), true),
            (Scheme::Imap, "STARTTLS", true) => (format!("{tag} NO not now\r\n"), false),
            (Scheme::Imap, ..) => (format!("{tag} BAD unknown\r\n"), false),
            (Scheme::Pop3, "CAPA", true) => ("+OK\r\nUIDL\r\nSTLS\r\n.\r\n".into(), false),
            (Scheme::Pop3, "CAPA", false) => ("+OK\r\nUIDL\r\n.\r\n".into(), false),
            (Scheme::Pop3, "STLS", true) if goes_on => ("+OK begin\r\n".into(), true),
            (Scheme::Pop3, ..) => ("-ERR not here\r\n".into(), false),
            (_, "EHLO", true) => ("250-mail.test\r\n250-STARTTLS\r\n250 8BITMIME\r\n".into(), false),
            (_, "EHLO", false) => ("250-mail.test\r\n250 8BITMIME\r\n".into(), false),
            (_, "STARTTLS", true) if goes_on => ("220 begin\r\n".into(), true),
            (_, "STARTTLS", true) => ("454 4.7.0 TLS not available\r\n".into(), false),
            _ => ("502 5.5.1 not here\r\n".into(), false),
        }
    }

    /// Any request of at most 127 octets is taken for StartTLS with message number 1.
    async fn answer_ldap(&self, stream: &mut BufReader<TcpStream>) -> std::io::Result<bool> {
        let mut header = [0; 2];
        stream.read_exact(&mut header).await?;
        stream.read_exact(&mut vec![0; usize::from(header[1] & 0x7f)]).await?;
        let code = match (self.offer, &self.tls) {
            (Starttls::Offered, Some(_)) => 0,
            (Starttls::NotOffered, _) => 2,
            _ => 52,
        };
        stream.write_all(&[0x30, 12, 2, 1, 1, 0x78, 7, 0x0a, 1, code, 4, 0, 4, 0]).await?;
        Ok(code == 0)
    }

    async fn answer_postgres(&self, stream: &mut BufReader<TcpStream>) -> std::io::Result<bool> {
        stream.read_exact(&mut [0; 8]).await?;
        let goes_on = self.offer == Starttls::Offered && self.tls.is_some();
        stream.write_all(if goes_on { b"S" } else { b"N" }).await?;
        Ok(goes_on)
    }
}
