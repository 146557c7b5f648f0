//! Reading what a server sends, within the bounds of one handshake.

use std::io;
use std::time::Duration;

use parallax_core::Outcome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::meter::RecordMeter;
use crate::settings::Limits;

/// Bytes taken at once: one full record.
const PIECE: usize = 16 * 1024 + 5;

/// A connection whose every byte is counted, and is TLS in its outer form.
pub(super) struct Wire<'a> {
    stream: &'a mut TcpStream,
    meter: RecordMeter,
    first_byte: Duration,
    piece: Vec<u8>,
}

impl<'a> Wire<'a> {
    pub(super) fn new(stream: &'a mut TcpStream, limits: &Limits) -> Self {
        let meter = RecordMeter::new(limits.handshake_bytes, limits.records);
        Self { stream, meter, first_byte: limits.first_byte, piece: vec![0; PIECE] }
    }

    /// Sends. That a server no longer listens is no failure yet: what it said before may still be read.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes).await {
            tracing::debug!(%error, "the server takes no more");
        }
    }

    /// The next bytes; at least one.
    pub(super) async fn read(&mut self) -> Result<&[u8], Outcome> {
        let reading = self.stream.read(&mut self.piece);
        let read = match self.meter.is_fresh() {
            true => tokio::time::timeout(self.first_byte, reading).await.map_err(|_| Outcome::Timeout)?,
            false => reading.await,
        };
        let count = read.map_err(|error| outcome_of(&error))?;
        let bytes = self.piece.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Err(Outcome::Reset);
        }
        self.meter.feed(bytes)?;
        Ok(bytes)
    }
}

fn outcome_of(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::TimedOut => Outcome::Timeout,
        _ => Outcome::Reset,
    }
}
