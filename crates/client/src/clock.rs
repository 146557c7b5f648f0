//! The one place where this crate reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use parallax_core::Timestamp;

/// Now; a clock before 1970 counts as 1970.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
