//! What all dialogues have in common: the buffer, the bounds, and that nothing may follow the go-ahead.

use parallax_core::{Outcome, Starttls};

/// Messages that a server may send before TLS begins (lines, where it speaks in lines).
pub(super) const MOST_MESSAGES: usize = 64;

/// One protocol's way to TLS.
pub(super) trait Dialogue: Send {
    /// What is sent before the server says anything; empty where it speaks first.
    fn opening(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Bytes of the first whole message in `buffered`; `None` when it is not whole yet. `Err` when it can't become one
    /// within its bounds.
    fn length(&self, buffered: &[u8]) -> Result<Option<usize>, Stop>;

    /// Takes one whole message.
    fn take(&mut self, message: &[u8]) -> Result<Step, Stop>;
}

/// What to do after a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read on.
    Read,
    /// Send this, and read on.
    Send(Vec<u8>),
    /// The server offers the upgrade: send this, and read on.
    Ask(Vec<u8>),
    /// TLS begins with the next byte.
    Go,
}

/// Why TLS does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// This is no message of the protocol, or none that may come here: another protocol, if it is the first.
    Nonsense,
    /// The protocol is the right one, but this breaks it.
    Broken,
    /// The server has no such thing as an upgrade.
    NotOffered,
    /// The server would not begin what it offers.
    Refused,
    /// The server ends the conversation, and would with anybody who comes from here.
    TurnedAway,
}

/// What the connection needs next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Next {
    /// To be sent.
    pub(super) send: Vec<u8>,
    /// TLS begins.
    pub(super) go: bool,
}

/// A dialogue at work.
pub(super) struct Machine {
    dialogue: Box<dyn Dialogue>,
    /// Not yet a whole message.
    buffer: Vec<u8>,
    taken: usize,
    learnt: Option<Starttls>,
}

impl Machine {
    pub(super) fn new(dialogue: Box<dyn Dialogue>) -> Self {
        Self { dialogue, buffer: Vec::new(), taken: 0, learnt: None }
    }

    pub(super) fn opening(&self) -> Vec<u8> {
        self.dialogue.opening()
    }

    /// What is known of the upgrade by now.
    pub(super) fn learnt(&self) -> Option<Starttls> {
        self.learnt
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Next, Outcome> {
        self.buffer.extend_from_slice(bytes);
        let mut next = Next::default();
        while let Some(message) = self.message()? {
            let step = self.dialogue.take(&message).map_err(|stop| self.stopped(stop))?;
            self.taken += 1;
            match step {
                Step::Read => {}
                Step::Send(bytes) => next.send.extend(bytes),
                Step::Ask(bytes) => {
                    self.learnt = Some(Starttls::Offered);
                    next.send.extend(bytes);
                }
                Step::Go => return self.go(),
            }
        }
        Ok(next)
    }

    fn message(&mut self) -> Result<Option<Vec<u8>>, Outcome> {
        let length = self.dialogue.length(&self.buffer).map_err(|stop| self.stopped(stop))?;
        let Some(length) = length else { return Ok(None) };
        if self.taken == MOST_MESSAGES {
            return Err(Outcome::Malformed);
        }
        let rest = self.buffer.split_off(length.min(self.buffer.len()));
        Ok(Some(std::mem::replace(&mut self.buffer, rest)))
    }

    /// Whatever follows the go-ahead in the clear was put there for somebody who would take it as said under TLS
    /// (CVE-2011-0411 and its kin).
    fn go(&mut self) -> Result<Next, Outcome> {
        self.learnt = Some(Starttls::Offered);
        if self.buffer.is_empty() { Ok(Next { send: Vec::new(), go: true }) } else { Err(Outcome::Malformed) }
    }

    fn stopped(&mut self, stop: Stop) -> Outcome {
        match stop {
            Stop::Nonsense if self.taken == 0 => Outcome::NotTls,
            Stop::Nonsense | Stop::Broken => Outcome::Malformed,
            Stop::TurnedAway => Outcome::Alert,
            Stop::NotOffered => {
                self.learnt = Some(Starttls::NotOffered);
                Outcome::NotTls
            }
            Stop::Refused => {
                self.learnt = Some(Starttls::Refused);
                Outcome::NotTls
            }
        }
    }
}

/// For the tests of all dialogues.
#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// How a conversation ended, and what was said in it.
    #[derive(Debug, PartialEq, Eq)]
    pub(in crate::starttls) struct Talk {
        pub(in crate::starttls) said: Vec<u8>,
        pub(in crate::starttls) end: Option<Result<(), Outcome>>,
        pub(in crate::starttls) learnt: Option<Starttls>,
    }

    /// The server says these pieces, whatever it is told.
    pub(in crate::starttls) fn talk<D: Dialogue + 'static>(dialogue: D, pieces: &[&[u8]]) -> Talk {
        let mut machine = Machine::new(Box::new(dialogue));
        let mut talk = Talk { said: machine.opening(), end: None, learnt: None };
        for piece in pieces {
            let fed = machine.feed(piece);
            talk.learnt = machine.learnt();
            match fed {
                Ok(Next { send, go: false }) => talk.said.extend(send),
                Ok(Next { go: true, .. }) => talk.end = Some(Ok(())),
                Err(outcome) => talk.end = Some(Err(outcome)),
            }
            if talk.end.is_some() {
                break;
            }
        }
        talk
    }

    /// The same with the pieces cut anywhere ends alike; only the go-ahead must end a piece.
    pub(in crate::starttls) fn same_in_any_pieces<D: Dialogue + 'static>(dialogue: impl Fn() -> D, pieces: &[&[u8]]) {
        let wanted = talk(dialogue(), pieces);
        let bytes = pieces.concat();
        for size in [1, 2, 3, 7] {
            let cut: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(talk(dialogue(), &cut), wanted, "in pieces of {size}");
        }
    }

    pub(in crate::starttls) const GO: Option<Result<(), Outcome>> = Some(Ok(()));

    pub(in crate::starttls) fn ends<D: Dialogue + 'static>(
        dialogue: D,
        pieces: &[&[u8]],
    ) -> (Option<Result<(), Outcome>>, Option<Starttls>) {
        let talk = talk(dialogue, pieces);
        (talk.end, talk.learnt)
    }
}
