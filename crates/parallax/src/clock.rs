//! The one place of this crate that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use parallax_core::Timestamp;

/// Now, by this machine's clock.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
