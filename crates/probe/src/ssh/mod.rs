//! An SSH server's host keys: the key exchange up to the signature that proves each of them (`docs/protocols/ssh.md`).
//!
//! Nothing secret is sent and no session is begun, so there are no ciphers here: a look ends with the message in which
//! the server signs (RFC 4253 section 8). All arithmetic is aws-lc's.

mod exchange;
mod kexinit;
mod read;
mod verify;
mod wire;

use std::time::Duration;

use parallax_core::{HostKey, Outcome};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use self::kexinit::{Exchange, KexInit, Proof};
use self::wire::Wire;
use crate::settings::Limits;

/// What the keys after the first may take together: a server that dawdles then loses none that it has proved.
const REST: Duration = Duration::from_secs(2);

/// What is left for telling of it.
const MARGIN: Duration = Duration::from_millis(250);

/// Proves every host key that the server offers, each over a connection of its own; `again` makes the next. `Err` when
/// none was proved. Ends before `deadline` when at least one was.
pub(crate) async fn meet<F>(
    stream: TcpStream,
    again: impl Fn() -> F,
    limits: &Limits,
    deadline: Instant,
) -> Result<Vec<HostKey>, Outcome>
where
    F: Future<Output = Result<TcpStream, Outcome>>,
{
    let talk = Talk::begin(stream, limits).await?;
    let (first, rest) =
        talk.server.proofs().split_first().map(|(first, rest)| (*first, rest.to_vec())).ok_or(Outcome::Unsupported)?;
    let mut proved = vec![talk.prove(first).await];
    let until = (Instant::now() + REST).min(deadline.checked_sub(MARGIN).unwrap_or(deadline));
    for proof in rest {
        let next = async { Talk::begin(again().await?, limits).await?.prove(proof).await };
        proved.push(timeout_at(until, next).await.unwrap_or(Err(Outcome::Timeout)));
    }
    conclude(proved)
}

/// What was proved; else why the first was not.
fn conclude(proved: Vec<Result<HostKey, Outcome>>) -> Result<Vec<HostKey>, Outcome> {
    let failed = proved.iter().find_map(|one| one.as_ref().err().copied());
    let keys: Vec<HostKey> = proved.into_iter().flatten().collect();
    if keys.is_empty() { Err(failed.unwrap_or(Outcome::Unsupported)) } else { Ok(keys) }
}

/// One connection, both identification strings and the server's KEXINIT exchanged.
struct Talk<'a> {
    wire: Wire<'a>,
    identification: Vec<u8>,
    server: KexInit,
}

impl<'a> Talk<'a> {
    async fn begin(stream: TcpStream, limits: &'a Limits) -> Result<Self, Outcome> {
        let mut wire = Wire::new(stream, limits);
        wire.send_identification().await;
        let identification = wire.read_identification().await?;
        let server = KexInit::parse(&wire.read_message(kexinit::KEXINIT).await?).ok_or(Outcome::Malformed)?;
        Ok(Self { wire, identification, server })
    }

    /// Lets the server prove one key. What it offered on an earlier connection it may no longer offer on this one.
    async fn prove(mut self, proof: Proof) -> Result<HostKey, Outcome> {
        let exchange = self.server.exchange().filter(|_| self.server.proofs().contains(&proof));
        let exchange: Exchange = exchange.ok_or(Outcome::Unsupported)?;
        let cookie = exchange::random().ok_or(Outcome::Unsupported)?;
        let client = self.server.answer(&cookie, exchange, proof);
        let half = exchange::Half::new(exchange).ok_or(Outcome::Unsupported)?;
        self.wire.send_messages(&[&client, &half.message()]).await;
        let reply = self.wire.read_message(exchange::REPLY).await?;
        let reply = exchange::Reply::parse(&reply).ok_or(Outcome::Malformed)?;
        let opening = exchange::Opening {
            client_identification: wire::IDENTIFICATION,
            server_identification: &self.identification,
            client_kexinit: &client,
            server_kexinit: self.server.as_bytes(),
        };
        let hash = half.finish(&opening, &reply).ok_or(Outcome::Malformed)?;
        verify::verified(proof, &reply, &hash).ok_or(Outcome::Malformed)
    }
}
