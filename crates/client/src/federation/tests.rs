use std::collections::BTreeMap;
use std::time::Duration;

use parallax_core::Timestamp;

use super::*;
