//! A sighting: the clear-text Certificate message of a server that rustls does not talk to (SSL 3.0 to TLS 1.2).
//!
//! Nothing here proves anything: whoever has seen a certificate can show it. It is kept, shown, and never counted.

use parallax_core::{Outcome, ServiceId};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;

use super::Shown;
use super::hello::client_hello;
use super::wire::Wire;
use crate::settings::Limits;

/// Asks for a certificate the old way and reads until it is there.
pub(crate) async fn sight(stream: &mut TcpStream, service: &ServiceId, limits: &Limits) -> Result<Shown, Outcome> {
    let hello = client_hello(service).ok_or(Outcome::Unsupported)?;
    let mut wire = Wire::new(stream, limits);
    wire.send(&hello).await;
    let mut reader = Reader::new(limits);
    loop {
        if let Some(shown) = reader.feed(wire.read().await?)? {
            return Ok(shown);
        }
    }
}

/// Puts records together to messages. The bytes were counted before they came here.
struct Reader {
    chain: usize,
    certificate: usize,
    /// Not yet a whole record.
    raw: Vec<u8>,
    /// Not yet a whole handshake message.
    messages: Vec<u8>,
    protocol: Option<&'static str>,
}

impl Reader {
    fn new(limits: &Limits) -> Self {
        let (chain, certificate) = (limits.chain, limits.certificate_bytes);
        Self { chain, certificate, raw: Vec::new(), messages: Vec::new(), protocol: None }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<Option<Shown>, Outcome> {
        self.raw.extend_from_slice(bytes);
        let raw = std::mem::take(&mut self.raw);
        let mut rest = raw.as_slice();
        while let Some((kind, body, after)) = record(rest) {
            rest = after;
            match kind {
                22 => self.messages.extend_from_slice(body),
                21 if body.first() == Some(&1) => {} // a warning
                21 => return Err(Outcome::Alert),
                _ => return Err(Outcome::Malformed),
            }
        }
        self.raw = rest.to_vec();
        self.read_messages()
    }

    fn read_messages(&mut self) -> Result<Option<Shown>, Outcome> {
        let messages = std::mem::take(&mut self.messages);
        let mut rest = messages.as_slice();
        while let Some((kind, body, after)) = message(rest) {
            rest = after;
            match (kind, self.protocol) {
                (0, None) => {} // HelloRequest
                (2, None) => self.protocol = Some(version(body)?),
                (11, Some(protocol)) => {
                    let chain = certificates(body, self.chain, self.certificate)?;
                    return Ok(Some(Shown { chain, ocsp: Vec::new(), protocol, proved: false }));
                }
                // ServerKeyExchange or ServerHelloDone without a certificate: an anonymous server.
                (12 | 14, Some(_)) => return Err(Outcome::Unsupported),
                _ => return Err(Outcome::Malformed),
            }
        }
        self.messages = rest.to_vec();
        Ok(None)
    }
}

fn record(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, _, _, high, low], rest) = bytes.split_first_chunk()?;
    let (body, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((kind, body, rest))
}

fn message(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&kind, rest) = bytes.split_first()?;
    let (body, rest) = sized(rest)?;
    Some((kind, body, rest))
}

/// Bytes with their length in three octets before them, and what follows.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[high, middle, low], rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()?)
}

fn version(hello: &[u8]) -> Result<&'static str, Outcome> {
    match hello {
        [3, 0, ..] => Ok("SSLv3"),
        [3, 1, ..] => Ok("TLSv1.0"),
        [3, 2, ..] => Ok("TLSv1.1"),
        [3, 3, ..] => Ok("TLSv1.2"),
        _ => Err(Outcome::Malformed),
    }
}

fn certificates(body: &[u8], most: usize, largest: usize) -> Result<Vec<CertificateDer<'static>>, Outcome> {
    let (mut list, rest) = sized(body).ok_or(Outcome::Malformed)?;
    let mut chain = Vec::new();
    while !list.is_empty() {
        let (certificate, after) = sized(list).ok_or(Outcome::Malformed)?;
        if chain.len() == most || certificate.len() > largest {
            return Err(Outcome::Malformed);
        }
        chain.push(CertificateDer::from(certificate.to_vec()));
        list = after;
    }
    if chain.is_empty() || !rest.is_empty() { Err(Outcome::Malformed) } else { Ok(chain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(version: u8, certificates: &[&[u8]]) -> Vec<u8> {
        let sized = |body: &[u8]| [&u32::try_from(body.len()).unwrap().to_be_bytes()[1..], body].concat();
        let list: Vec<u8> = certificates.iter().flat_map(|certificate| sized(certificate)).collect();
        let hello = [&[2][..], &sized(&[3, version, 0, 0, 0])].concat();
        let shown = [&[11][..], &sized(&sized(&list))].concat();
        let messages = [hello, shown].concat();
        let pieces = messages.chunks(700);
        pieces
            .flat_map(|piece| [&[22, 3, version, (piece.len() >> 8) as u8, piece.len() as u8], piece].concat())
            .collect()
    }

    fn read(pieces: &[&[u8]]) -> Result<Option<Shown>, Outcome> {
        let mut reader = Reader::new(&Limits::default());
        for piece in pieces {
            if let Some(shown) = reader.feed(piece)? {
                return Ok(Some(shown));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_chain_in_any_pieces() {
        let bytes = flight(1, &[&[1; 1000], &[2; 500]]);
        for size in [1, 2, 5, 699, 5000] {
            let shown = read(&bytes.chunks(size).collect::<Vec<_>>()).unwrap().expect("a chain");
            assert_eq!((shown.protocol, shown.proved), ("TLSv1.0", false));
            assert_eq!(shown.chain.iter().map(|certificate| certificate.len()).collect::<Vec<_>>(), [1000, 500]);
        }
    }

    #[test]
    fn bounds_and_nonsense() {
        let many: Vec<&[u8]> = vec![&[1]; 33];
        let alert = [21, 3, 1, 0, 2, 2, 40];
        let warned = [[21, 3, 1, 0, 2, 1, 112].as_slice(), &flight(3, &[&[1]])].concat();
        let anonymous = [22, 3, 1, 0, 10, 2, 0, 0, 2, 3, 1, 14, 0, 0, 0];
        assert!(matches!(read(&[&flight(1, &many[..32])]), Ok(Some(_))));
        assert!(matches!(read(&[&warned]), Ok(Some(_))));
        for (bytes, outcome) in [
            (flight(1, &many), Outcome::Malformed),
            (flight(1, &[]), Outcome::Malformed),
            (flight(1, &[&[0; 100 * 1024 + 1]]), Outcome::Malformed),
            (flight(9, &[&[1]]), Outcome::Malformed),
            (alert.to_vec(), Outcome::Alert),
            (anonymous.to_vec(), Outcome::Unsupported),
            (vec![22, 3, 1, 0, 4, 11, 0, 0, 0], Outcome::Malformed),
            (vec![23, 3, 1, 0, 1, 0], Outcome::Malformed),
        ] {
            assert_eq!(read(&[&bytes]).unwrap_err(), outcome);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, at: proptest::sample::Index, by: u8) {
            let mut damaged = flight(1, &[&[1; 300], &bytes]);
            let place = at.index(damaged.len());
            damaged[place] ^= by;
            let _ = read(&[&damaged]);
            let _ = read(&[&bytes]);
        }
    }
}
