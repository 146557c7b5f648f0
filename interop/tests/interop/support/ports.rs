//! Ports for those who can't take port 0, or come back to the one they had.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Outside the range that systems hand out on their own, where any outgoing connection could take one in between, and
/// outside the lab's.
const PORTS: std::ops::Range<u16> = 12_000..20_000;

static CALLS: AtomicUsize = AtomicUsize::new(0);

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    // Each test is a process: they begin at different places.
    let places = u32::from(PORTS.end - PORTS.start);
    let begin = usize::try_from(std::process::id().wrapping_mul(61) % places).unwrap();
    // Tests that run side by side in one process, and a server with several ports, get different ones.
    let begin = (begin + CALLS.fetch_add(1, Ordering::Relaxed)) % PORTS.len();
    let mut ports = PORTS.cycle().skip(begin).take(PORTS.len());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
