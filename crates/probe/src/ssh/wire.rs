//! One connection before its first key: the identification strings and packets in the clear (RFC 4253 sections 4.2
//! and 6), within the bounds of one handshake.

use std::io;
use std::time::Duration;

use parallax_core::Outcome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::settings::Limits;

/// How we name ourselves, without the line end.
pub(super) const IDENTIFICATION: &[u8] = b"SSH-2.0-parallax";

/// All that a server may say before its first packet: its own identification has at most 255 bytes, and what may stand
/// before it is not bounded by RFC 4253.
const LONGEST_GREETING: usize = 8 * 1024;

/// The longest identification string with its line end (RFC 4253 section 4.2).
const LONGEST_IDENTIFICATION: usize = 255;

/// The longest packet that everybody must be able to read (RFC 4253 section 6.1).
const LONGEST_PACKET: usize = 35_000;

const PIECE: usize = 8 * 1024;

const DISCONNECT: u8 = 1;
const IGNORE: u8 = 2;
const UNIMPLEMENTED: u8 = 3;
const DEBUG: u8 = 4;

/// What OpenSSH says instead of its identification when it has no place for us (MaxStartups, PerSourcePenalties). It is
/// no sign of another protocol.
const TURNED_AWAY: [&[u8]; 2] = [b"Exceeded MaxStartups", b"Not allowed at this time"];

/// A connection whose every byte is counted.
pub(super) struct Wire<'a> {
    stream: TcpStream,
    limits: &'a Limits,
    bytes_left: usize,
    packets_left: usize,
    buffer: Vec<u8>,
}

impl<'a> Wire<'a> {
    pub(super) fn new(stream: TcpStream, limits: &'a Limits) -> Self {
        let (bytes_left, packets_left) = (limits.handshake_bytes, limits.records);
        Self { stream, limits, bytes_left, packets_left, buffer: Vec::new() }
    }

    pub(super) async fn send_identification(&mut self) {
        self.send(&[IDENTIFICATION, b"\r\n"].concat()).await;
    }

    /// Sends each message as a packet.
    pub(super) async fn send_messages(&mut self, messages: &[&[u8]]) {
        let packets: Vec<u8> = messages.iter().flat_map(|message| packet(message)).collect();
        self.send(&packets).await;
    }

    /// That a server no longer listens is no failure yet: what it said before may still be read.
    async fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes).await {
            tracing::debug!(%error, "the server takes no more");
        }
    }

    /// The server's identification string, without the line end. Lines before it are skipped.
    pub(super) async fn read_identification(&mut self) -> Result<Vec<u8>, Outcome> {
        let mut greeted = 0;
        loop {
            while let Some(line) = self.take_line() {
                if line.starts_with(b"SSH-") {
                    return identification(&line);
                }
                if TURNED_AWAY.iter().any(|words| line.starts_with(words)) {
                    return Err(Outcome::Alert);
                }
                // With its end: empty lines are not for nothing.
                greeted += line.len() + 1;
                if greeted > LONGEST_GREETING {
                    return Err(Outcome::NotTls);
                }
            }
            if !is_text(&self.buffer) || greeted + self.buffer.len() > LONGEST_GREETING {
                return Err(Outcome::NotTls);
            }
            let said_something = greeted + self.buffer.len() > 0;
            match self.fill(!said_something).await {
                // It talked, and went without a word of SSH.
                Err(Outcome::Reset) if said_something => return Err(turned_away(&self.buffer)),
                filled => filled?,
            }
        }
    }

    /// The next message, which must have this number; those that mean nothing before the keys are skipped
    /// (RFC 4253 section 11).
    pub(super) async fn read_message(&mut self, wanted: u8) -> Result<Vec<u8>, Outcome> {
        loop {
            self.packets_left = self.packets_left.checked_sub(1).ok_or(Outcome::Malformed)?;
            let message = self.read_packet().await?;
            match message.first() {
                Some(&number) if number == wanted => return Ok(message),
                Some(&(IGNORE | UNIMPLEMENTED | DEBUG)) => {}
                Some(&DISCONNECT) => return Err(Outcome::Alert),
                _ => return Err(Outcome::Malformed),
            }
        }
    }

    async fn read_packet(&mut self) -> Result<Vec<u8>, Outcome> {
        loop {
            if let Some((message, taken)) = unpack(&self.buffer)? {
                self.buffer.drain(..taken);
                return Ok(message);
            }
            self.fill(false).await?;
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n')?;
        let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        // A line of text with more in it than text is judged with the rest.
        if is_text(&line) { Some(line) } else { self.put_back(line) }
    }

    fn put_back(&mut self, mut line: Vec<u8>) -> Option<Vec<u8>> {
        line.append(&mut self.buffer);
        self.buffer = line;
        None
    }

    async fn fill(&mut self, is_first: bool) -> Result<(), Outcome> {
        let mut piece = [0; PIECE];
        let reading = self.stream.read(&mut piece);
        let limit = if is_first { self.limits.first_byte } else { Duration::MAX };
        let read = tokio::time::timeout(limit, reading).await.map_err(|_| Outcome::Timeout)?;
        let count = read.map_err(|error| outcome_of(&error))?;
        if count == 0 {
            return Err(Outcome::Reset);
        }
        self.bytes_left = self.bytes_left.checked_sub(count).ok_or(Outcome::Malformed)?;
        self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(())
    }
}

fn identification(line: &[u8]) -> Result<Vec<u8>, Outcome> {
    if line.len() + 2 > LONGEST_IDENTIFICATION {
        return Err(Outcome::Malformed);
    }
    // 1.99 is 2.0 of a server that also speaks 1 (RFC 4253 section 5.1).
    if line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-") {
        Ok(line.to_vec())
    } else {
        Err(Outcome::Unsupported)
    }
}

fn turned_away(rest: &[u8]) -> Outcome {
    if TURNED_AWAY.iter().any(|words| rest.starts_with(words)) { Outcome::Alert } else { Outcome::NotTls }
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f || matches!(byte, b'\t' | b'\r' | b'\n'))
}

/// A packet around a message: length, length of the padding, message, padding to a multiple of 8, at least 4.
fn packet(message: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (5 + message.len() + 4) % 8) % 8;
    let mut packet = u32::try_from(1 + message.len() + padding).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap_or(u8::MAX));
    packet.extend_from_slice(message);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// The first packet's message and how many bytes it took; `None` while there is no whole one.
fn unpack(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Outcome> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if !(12..=LONGEST_PACKET).contains(&length) || (length + 4) % 8 != 0 {
        return Err(Outcome::Malformed);
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let (padding, message) = body.split_first().ok_or(Outcome::Malformed)?;
    let message = message.len().checked_sub(usize::from(*padding)).and_then(|end| message.get(..end));
    match message {
        Some(message) if *padding >= 4 && !message.is_empty() => Ok(Some((message.to_vec(), length + 4))),
        _ => Err(Outcome::Malformed),
    }
}

fn outcome_of(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::TimedOut => Outcome::Timeout,
        _ => Outcome::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_round_trip() {
        for size in 1..100 {
            let message = vec![20; size];
            let bytes = packet(&message);
            assert_eq!(bytes.len() % 8, 0);
            assert_eq!(unpack(&bytes), Ok(Some((message, bytes.len()))));
            assert_eq!(unpack(&bytes[..bytes.len() - 1]), Ok(None));
        }
    }

    #[test]
    fn packets_that_are_none() {
        let with = |length: u32, padding: u8| [&length.to_be_bytes()[..], &[padding], &[0; 40_000]].concat();
        for bytes in [
            with(0, 0),
            with(13, 4),
            with(35_004, 4),
            with(u32::MAX, 4),
            with(12, 3),
            with(12, 11),
            with(12, 200),
            b"HTTP/1.1 200 OK\r\n".to_vec(),
        ] {
            assert_eq!(unpack(&bytes), Err(Outcome::Malformed));
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = (unpack(&bytes), is_text(&bytes), identification(&bytes));
        }
    }
}
