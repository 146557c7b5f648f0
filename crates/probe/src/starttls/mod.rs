//! The way to TLS in protocols that begin in the clear (`docs/protocols/starttls.md`).
//!
//! A [`Dialogue`] takes what the server says and returns what to do next; it knows no sockets. Nothing is sent but what
//! the upgrade needs, and every byte that the server sends is bounded.

mod imap;
mod ldap;
mod lines;
mod machine;
mod pop3;
mod postgres;
mod smtp;

use std::net::{IpAddr, SocketAddr};

use parallax_core::{Outcome, Scheme, Starttls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::machine::{Dialogue, Machine};

/// Bytes taken at once.
const PIECE: usize = 4096;

/// Brings the connection to where TLS begins; nothing is to be done where it begins with the first byte. What is learnt
/// of the upgrade is in `learnt` even when this is dropped half-way.
pub(crate) async fn upgrade(
    stream: &mut TcpStream,
    scheme: Scheme,
    learnt: &mut Option<Starttls>,
) -> Result<(), Outcome> {
    let Some(dialogue) = dialogue(scheme, stream.local_addr().ok()) else { return Ok(()) };
    let mut machine = Machine::new(dialogue);
    send(stream, &machine.opening()).await;
    let mut piece = vec![0; PIECE];
    loop {
        let count = stream.read(&mut piece).await.map_err(|_| Outcome::Reset)?;
        let bytes = piece.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Err(Outcome::Reset);
        }
        let fed = machine.feed(bytes);
        *learnt = machine.learnt();
        let next = fed?;
        if next.go {
            return Ok(());
        }
        send(stream, &next.send).await;
    }
}

/// That a server no longer listens is no failure yet: what it said before may still be read.
async fn send(stream: &mut TcpStream, bytes: &[u8]) {
    if let Err(error) = stream.write_all(bytes).await {
        tracing::debug!(%error, "the server takes no more");
    }
}

fn dialogue(scheme: Scheme, own: Option<SocketAddr>) -> Option<Box<dyn Dialogue>> {
    match scheme {
        Scheme::Smtp | Scheme::Submission => Some(Box::new(smtp::Smtp::new(own_name(own)))),
        Scheme::Imap => Some(Box::new(imap::Imap::default())),
        Scheme::Pop3 => Some(Box::new(pop3::Pop3::default())),
        Scheme::Ldap => Some(Box::new(ldap::Ldap)),
        Scheme::Postgres => Some(Box::new(postgres::Postgres)),
        _ => None,
    }
}

/// Who has no name says its address (RFC 5321 section 4.1.3), and so does a look: the server sees it anyway, unless there
/// is a translator of addresses in between.
fn own_name(own: Option<SocketAddr>) -> String {
    match own.map(|own| own.ip().to_canonical()) {
        Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
        Some(IpAddr::V4(address)) => format!("[{address}]"),
        None => "[127.0.0.1]".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_says_its_address() {
        for (address, wanted) in [
            ("192.0.2.7:4711", "[192.0.2.7]"),
            ("[::ffff:192.0.2.7]:4711", "[192.0.2.7]"),
            ("[2001:db8::7]:4711", "[IPv6:2001:db8::7]"),
        ] {
            assert_eq!(own_name(address.parse().ok()), wanted);
        }
    }

    #[test]
    fn every_scheme_with_an_upgrade_has_a_dialogue() {
        for scheme in Scheme::ALL {
            assert_eq!(dialogue(scheme, None).is_some(), scheme.upgrade().is_some(), "{scheme:?}");
        }
    }
}
