//! What a hub's operator may change. The defaults are those of `docs/protocols/hub.md`.

use std::time::Duration;

/// So many a minute, and so many at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMinute {
    /// In the long run.
    pub rate: u32,
    /// At once.
    pub burst: u32,
}

/// How a hub treats peers and askers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSettings {
    /// Views younger than this answer from memory: the life of a view.
    pub window: Duration,
    /// A peer that said nothing for so long is pinged.
    pub ping_after: Duration,
    /// A peer that said nothing for so long is detached.
    pub silent_after: Duration,
    /// Views from one IPv4 /24 or IPv6 /48 in one answer; `None` lifts the limit, for labs and intranets.
    pub views_a_network: Option<usize>,
    /// Peers attached at once.
    pub peers: usize,
    /// Peers attached at once from one IPv4 /24 or IPv6 /48; no limit where `views_a_network` is lifted.
    pub peers_a_network: usize,
    /// Looks a minute that a single peer is asked for at most, whatever it offers.
    pub looks_each: u32,
    /// A look that takes longer is replaced by another peer's; after twice the time it is given up.
    pub patience: Duration,
    /// Questions under way at once.
    pub asks: usize,
    /// Questions of one key under way at once.
    pub asks_each_at_once: usize,
    /// Questions of one key.
    pub asks_each: PerMinute,
    /// Looks at one service, over all askers.
    pub looks_a_service: PerMinute,
    /// Looks at one target network (IPv4 /24, IPv6 /48), over all askers.
    pub looks_a_network: PerMinute,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(300),
            ping_after: Duration::from_secs(5),
            silent_after: Duration::from_secs(15),
            views_a_network: Some(2),
            peers: 20_000,
            peers_a_network: 256,
            looks_each: 600,
            patience: Duration::from_millis(2_500),
            asks: 4_096,
            asks_each_at_once: 8,
            asks_each: PerMinute { rate: 60, burst: 20 },
            looks_a_service: PerMinute { rate: 120, burst: 200 },
            looks_a_network: PerMinute { rate: 240, burst: 400 },
        }
    }
}
