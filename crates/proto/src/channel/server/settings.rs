//! What a server grants and tolerates. The defaults are those of `docs/protocols/channel.md`.

use std::time::Duration;

use super::super::bodies::ChannelLimits;

/// So many at once, and one more each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// Until one more.
    pub every: Duration,
}

/// What a server grants and tolerates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Whether any key may come. Default no: only registered ones.
    pub open: bool,
    /// How long a channel lasts. Default 1 h.
    pub lifetime: Duration,
    /// How long one of an unregistered key lasts, on an open server. Default and at most 10 minutes.
    pub open_lifetime: Duration,
    /// How long a replaced channel goes on. Default 30 s.
    pub overlap: Duration,
    /// Channels of one key; the oldest goes. Default 4.
    pub channels_per_key: usize,
    /// Channels in all; then new ones are `unavailable`. Default 65,536.
    pub channels: usize,
    /// What one channel may carry.
    pub limits: ChannelLimits,
    /// Requests of one channel that are being worked on. Default 256.
    pub requests_at_once: usize,
    /// Answers of one channel that are kept to be asked for again. Default 64.
    pub kept_answers: usize,
    /// How long they are kept. Default 60 s.
    pub kept_for: Duration,
    /// Bytes of kept answers per channel; of what is larger only the fact is kept. Default 256 KiB.
    pub kept_bytes: usize,
    /// Creations from one source address (IPv6: one /64). Default 50, then one a second.
    pub address_creations: Rate,
    /// Creations by unregistered keys from one network (IPv4 /24, IPv6 /48). Default 100, then one a second.
    pub network_creations: Rate,
    /// Messages from one source address that authenticate nobody. Default 100, then ten a second.
    pub address_failures: Rate,
    /// Creations by one key. Default 5, then one per 30 s; whoever comes sooner waits twice as long each time.
    pub key_creations: Rate,
    /// The longest such wait. Default 1 h.
    pub longest_wait: Duration,
    /// Early replacements that are too many. Default 10.
    pub too_frequent: u32,
    /// Early replacements that block a key. Default 30.
    pub blocked_at: u32,
    /// How long until one of them is forgotten. Default 10 minutes.
    pub calms_every: Duration,
    /// Violations within an hour that block a key. Default 100.
    pub violations: usize,
    /// The first block. Default 1 h; each next one is twice as long.
    pub block: Duration,
    /// The longest block. Default 24 h.
    pub longest_block: Duration,
    /// How long after its end a block makes the next one longer. Default 7 days.
    pub block_memory: Duration,
    /// Keys that something is remembered of. Default 100,000.
    pub keys: usize,
}

impl Default for ServerSettings {
    fn default() -> Self {
        let rate = |burst, every_ms| Rate { burst, every: Duration::from_millis(every_ms) };
        Self {
            open: false,
            lifetime: Duration::from_secs(3600),
            open_lifetime: Duration::from_secs(600),
            overlap: Duration::from_secs(30),
            channels_per_key: 4,
            channels: 65_536,
            limits: ChannelLimits::default(),
            requests_at_once: 256,
            kept_answers: 64,
            kept_for: Duration::from_secs(60),
            kept_bytes: 256 * 1024,
            address_creations: rate(50, 1000),
            network_creations: rate(100, 1000),
            address_failures: rate(100, 100),
            key_creations: rate(5, 30_000),
            longest_wait: Duration::from_secs(3600),
            too_frequent: 10,
            blocked_at: 30,
            calms_every: Duration::from_secs(600),
            violations: 100,
            block: Duration::from_secs(3600),
            longest_block: Duration::from_secs(24 * 3600),
            block_memory: Duration::from_secs(7 * 24 * 3600),
            keys: 100_000,
        }
    }
}
