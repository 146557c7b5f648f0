//! Opening channels to one server, again and again: whom to believe, and how long to stay away.

use std::sync::Arc;
use std::time::Duration;

use parallax_core::{Suite, Timestamp};
use parallax_probe::{AwsLc, SystemRandom};
use parallax_proto::channel::{
    ChannelId, ClientChannel, Opening, OpeningError, OpeningRequest, OwnKey, RequestId, Told,
};
use parallax_proto::{Descriptor, StatementKey};
use rand_core::Rng as _;

use super::carrier::Carrier;
use super::error::CallError;
use super::url::ServerUrl;
use crate::clock::now;
use crate::vantage::Deadline;

/// After a failure a new channel is tried after this time, twice as long after each further one.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// What is known of the server from its descriptor.
#[derive(Clone, Debug)]
struct Server {
    statement_key: StatementKey,
    source: String,
    issued_at: Timestamp,
    valid_until: Timestamp,
}

/// Opens channels to one server.
pub(super) struct Opener {
    url: ServerUrl,
    key: OwnKey,
    server: Option<Server>,
    pause: Pause,
}

impl Opener {
    pub(super) fn new(url: ServerUrl, key: OwnKey) -> Result<Self, CallError> {
        url.vantage().pin().ok_or_else(|| CallError::NoPin(url.clone()))?;
        Ok(Self { url, key, server: None, pause: Pause::default() })
    }

    /// Whether it may be tried now.
    pub(super) fn may_try(&self) -> Result<(), CallError> {
        self.pause.check(now())
    }

    /// The request for a channel. The descriptor is fetched when none is known that counts.
    pub(super) async fn begin(
        &mut self,
        carrier: &Carrier,
        replaces: Option<ChannelId>,
        deadline: Deadline,
    ) -> Result<(Vec<u8>, Opening), CallError> {
        self.may_try()?;
        if self.server.as_ref().is_none_or(|server| server.valid_until <= now()) {
            self.learn(carrier, deadline).await?;
        }
        let Some(server) = &self.server else { return Err(CallError::Key) };
        let wanted = OpeningRequest {
            source: server.source.clone(),
            server: Some(server.statement_key),
            replaces,
            max_lifetime: None,
        };
        let mut random = SystemRandom::default();
        let suite: Arc<dyn Suite> = Arc::new(AwsLc);
        let made = Opening::new(suite, self.key.clone(), wanted, now(), &mut random);
        if random.has_failed() { Err(CallError::Key) } else { made.map_err(|_| CallError::Key) }
    }

    /// What the server said to it. `Err(None)`: its descriptor is newer than was known; to be begun again.
    pub(super) async fn finish(
        &mut self,
        carrier: &Carrier,
        opening: &Opening,
        answer: &[u8],
        deadline: Deadline,
    ) -> Result<ClientChannel, Option<CallError>> {
        match opening.created(answer, now()) {
            Ok(channel) => {
                self.pause = Pause::default();
                Ok(channel)
            }
            Err(error @ OpeningError::OtherKey { .. }) => {
                let known = self.server.as_ref().map(|server| server.issued_at);
                self.learn(carrier, deadline).await.map_err(Some)?;
                let newer = self.server.as_ref().map(|server| server.issued_at) > known;
                Err((!newer).then(|| self.failed(error)))
            }
            Err(error) => Err(Some(self.failed(error))),
        }
    }

    fn failed(&mut self, error: OpeningError) -> CallError {
        match &error {
            OpeningError::Told(told) => self.told(told),
            _ => self.pause.hint(now(), &error.to_string()),
        }
        CallError::Opening(error)
    }

    /// The server said something instead of an answer: obeyed when it is proved, else a hint to stay away for a while.
    pub(super) fn told(&mut self, told: &Told) {
        let why = format!("it said {} ({})", told.status().as_str(), told.reason());
        match told.obeyed() {
            Some(wait) => self.pause.obey(now(), wait, &why),
            None => self.pause.hint(now(), &why),
        }
    }

    async fn learn(&mut self, carrier: &Carrier, deadline: Deadline) -> Result<(), CallError> {
        let pin = self.url.vantage().pin().ok_or_else(|| CallError::NoPin(self.url.clone()))?;
        let signed = carrier.describe(deadline).await?;
        let descriptor = Descriptor::verify(&AwsLc, pin, signed, now()).map_err(crate::Missing::from)?.into_content();
        // An older one that is replayed changes nothing.
        if self.server.as_ref().is_some_and(|server| server.issued_at > descriptor.issued_at) {
            return Ok(());
        }
        let own = self.url.bare();
        let announced = descriptor.addresses;
        let source = announced.iter().find(|address| **address == own).or(announced.first()).cloned();
        self.server = Some(Server {
            statement_key: descriptor.statement_key,
            source: source.unwrap_or(own),
            issued_at: descriptor.issued_at,
            valid_until: descriptor.valid_until,
        });
        Ok(())
    }
}

/// A name for a request that no other has.
pub(super) fn fresh_id() -> Result<RequestId, CallError> {
    let mut random = SystemRandom::default();
    let (high, low) = (random.next_u64(), random.next_u64());
    if random.has_failed() {
        return Err(CallError::Key);
    }
    format!("{high:016x}{low:016x}").parse().map_err(|_| CallError::Key)
}

/// How long the server is left alone.
#[derive(Debug, Default)]
struct Pause {
    until: Timestamp,
    last: Duration,
    why: String,
}

impl Pause {
    fn check(&self, now: Timestamp) -> Result<(), CallError> {
        let left = self.until.since(now);
        if left.is_zero() { Ok(()) } else { Err(CallError::TooEarly { left, why: self.why.clone() }) }
    }

    fn hint(&mut self, now: Timestamp, why: &str) {
        self.last = (self.last * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        self.set(now, self.last, why);
    }

    fn obey(&mut self, now: Timestamp, wait: Duration, why: &str) {
        self.set(now, wait, why);
    }

    fn set(&mut self, now: Timestamp, wait: Duration, why: &str) {
        self.until = now.plus(wait);
        self.why = why.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_double_from_thirty_seconds_to_ten_minutes() {
        let (mut pause, now) = (Pause::default(), Timestamp::from_unix_secs(1_000_000));
        pause.check(now).unwrap();
        for wait in [30, 60, 120, 240, 480, 600, 600] {
            pause.hint(now, "it said no");
            let Err(CallError::TooEarly { left, .. }) = pause.check(now) else { panic!("too early") };
            assert_eq!(left, Duration::from_secs(wait));
            pause.check(now.plus(left)).unwrap();
        }
        pause.obey(now, Duration::from_secs(86_400), "it said so, signed");
        let text = pause.check(now).unwrap_err().to_string();
        assert_eq!(text, "the server is not asked for another 86400 s: it said so, signed");
    }
}
