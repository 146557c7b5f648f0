//! One TCP connection to the very address that was judged.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use parallax_core::Outcome;
use tokio::net::{TcpSocket, TcpStream};

/// Connects within `limit`, from `source` where one is given.
pub(crate) async fn connect(to: SocketAddr, source: Option<IpAddr>, limit: Duration) -> Result<TcpStream, Outcome> {
    match tokio::time::timeout(limit, open(to, source)).await {
        Ok(opened) => opened.map_err(|error| outcome_of(&error)),
        Err(_) => Err(Outcome::Timeout),
    }
}

async fn open(to: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    // A look takes what it came for and goes: no TIME_WAIT for each of thousands of looks.
    socket.set_zero_linger()?;
    socket.set_nodelay(true)?;
    socket.connect(to).await
}

/// A network that says it can't get there refuses as much as a host does.
fn outcome_of(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::TimedOut => Outcome::Timeout,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Outcome::Reset,
        _ => Outcome::Refused,
    }
}
